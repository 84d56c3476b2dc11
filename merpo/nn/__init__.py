"""Parameter trees, padded networks, optimisers and random streams."""
