"""What stages and runs leave on disk."""
