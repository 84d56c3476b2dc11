"""Datasets, the store, import and export."""
