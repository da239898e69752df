"""Sweeps as people run them: at a terminal, or on a host of their fleet."""
