"""Entries of ssh_config that lead into an environment: which one, its text, and its files."""
