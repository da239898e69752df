"""The state directory: leases and tickets as files, and the locks that keep them alive."""
