"""Recipes: TOML files, read and validated."""
