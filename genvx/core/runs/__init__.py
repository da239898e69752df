"""Runs: what is asked, what becomes of it, and how it is chosen and shown."""
