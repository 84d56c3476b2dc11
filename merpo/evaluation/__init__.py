"""Evaluation of policies: returns, estimates from logs, and videos."""
