"""A strict SSH client for many hosts at once, over Fabric and paramiko.

It reads what OpenSSH reads, checks host keys, logs in, and keeps a connection within its deadline.
It knows nothing of GPUs.
"""
