"""Environments and images of the point robots."""
