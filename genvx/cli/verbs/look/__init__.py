"""Verbs that ask and change nothing."""
