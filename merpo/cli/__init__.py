"""The command line: one function per command, without logic of its own."""
