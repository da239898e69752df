"""The debug port of a run: an SSH server for this run only, which ends with it."""

# From the supervisor to the server: accept no more connections. The end of the pipe: end.
SHUT = b"s"
# The server answers once, with a line. It begins with one of these; its host key, or the reason why
# the port is not open, follows.
OPENED, FAILED = b"+", b"-"
