"""Minari's datasets: read without executing or following anything, and written."""
