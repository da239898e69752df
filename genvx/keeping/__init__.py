"""Kept connections: a process of the user's that answers questions of `genvx remote` at once."""
