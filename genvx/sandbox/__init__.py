"""A simulated fleet on this machine: SSH hosts on the loopback interface with simulated GPUs.

It uses no file of the user's home and no configuration of theirs.
"""
