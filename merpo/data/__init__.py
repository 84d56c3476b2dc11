"""Datasets, the local data store, import and export."""
