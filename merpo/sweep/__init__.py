"""`merpo sweep`."""
