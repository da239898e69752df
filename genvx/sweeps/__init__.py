"""Sweeps: many runs from one search space, on all hosts of a fleet at once."""
