"""The far end of the wire: one call in, one reply out. Standard library, core and local only."""
