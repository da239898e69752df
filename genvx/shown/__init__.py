"""What tables say: their columns, their rows, and how they fit a terminal.

For the command line on one's own machine and for the one in a remote shell: core and local only.
"""
