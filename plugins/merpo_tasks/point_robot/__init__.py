"""Environments of the point robots: a point that walks on a plane."""
