"""A pretend fleet on this machine: loopback SSH hosts with simulated GPUs.

Nothing of the user's own is touched.
"""
