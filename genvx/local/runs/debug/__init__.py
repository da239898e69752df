"""The debug port of a run: an SSH server for this run only, which ends with it."""

# What a supervisor tells the server: to let people in, and to let nobody in any more. An end of the
# pipe tells it to end.
OPEN, SHUT = b"o", b"s"
