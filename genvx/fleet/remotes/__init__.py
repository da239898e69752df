"""Hosts by name: remotes.yml, and a project's genvx-remotes.yml over it."""
