"""`merpo reproduce`: the paper's figures and tables, and what was claimed of them, checked on stored runs."""
