"""From logged arrays of any layout to one task's transitions: what is read, what is left out, what is refused."""
