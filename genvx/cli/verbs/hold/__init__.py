"""Verbs that take devices, use them, and give them back."""
