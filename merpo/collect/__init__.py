"""Behaviour policies, and the datasets that they collect."""
