"""Buckets, as a few calls: objects are read, written on conditions, listed and deleted."""
