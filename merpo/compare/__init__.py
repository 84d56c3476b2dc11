"""Comparison of many runs: aggregates with intervals, and tables of results."""
