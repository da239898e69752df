"""Verbs that show something and change nothing."""
