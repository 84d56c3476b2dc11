"""Import and export of Minari datasets; reading executes no code and follows no links."""
