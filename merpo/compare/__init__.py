"""Comparisons of many runs."""
