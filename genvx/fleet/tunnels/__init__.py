"""Ports of a host that are ports of this machine for as long as a run lives, and the other way."""
