"""This machine: its devices, its leases, its processes.

It runs on remote hosts, too, with Python 3.9 and newer.
"""
