"""The debug port of a run: an SSH server for this run only, which ends with it."""

# What a supervisor tells the server: to let nobody in any more. An end of the pipe tells it to end.
SHUT = b"s"
# How the line begins with which the server answers once: then follows its host key, or the reason.
OPENED, FAILED = b"+", b"-"
