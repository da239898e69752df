"""Shelves for runs: what keeps copies of them, and runs nothing."""
