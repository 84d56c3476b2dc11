"""Policies in environments: returns, estimates and videos."""
