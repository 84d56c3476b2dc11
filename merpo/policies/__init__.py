"""Saving, loading and exporting policies, and given meta-policies."""
