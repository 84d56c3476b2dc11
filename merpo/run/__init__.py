"""`merpo run`, `merpo adapt` and `merpo evaluate`."""
