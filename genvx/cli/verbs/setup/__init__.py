"""Verbs that set up a machine, a shell, or a project."""
