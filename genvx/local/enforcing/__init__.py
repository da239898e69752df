"""Rounds of `genvx enforce` on this machine: what is seen, what is done, and what is kept of it."""
