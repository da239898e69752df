"""Sizes and times, read and shown."""
