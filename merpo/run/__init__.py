"""Implementation of `merpo run`, `merpo adapt` and `merpo evaluate`."""
