"""Sweeps: many runs of one command with different parameters, and the best of them."""
