"""What tables show: their columns, their rows, and how they fit a terminal.

The local command line and the command in a remote shell both use it, so it needs only core and
local.
"""
