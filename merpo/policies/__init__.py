"""Policies that are saved, loaded, exported or given."""
