"""Verbs for runs: commands that their hosts keep. A verb or a family of verbs a file."""
