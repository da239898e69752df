"""Executors: Python functions that are called in processes on the devices of a fleet."""
