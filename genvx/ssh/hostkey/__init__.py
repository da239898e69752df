"""Whether the host is the one that is known."""
