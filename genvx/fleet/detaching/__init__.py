"""Runs on the hosts of a fleet."""
