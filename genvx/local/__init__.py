"""This machine: its devices, its leases, its processes.

Runs on hosts too, on Python 3.9 and newer.
"""
