"""The debug port of a run: an SSH server for this run only, which ends with it."""

SHUT = b"s"
"""What a supervisor tells the server to let nobody in any more; an end of the pipe ends it."""
