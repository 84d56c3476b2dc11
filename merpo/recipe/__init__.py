"""From TOML to a validated recipe."""
