"""Estimates from independent runs, with intervals by Student's t that say what they cover."""
