"""Remotes that are started and stopped: allocations, machines that are rented, shelves."""
