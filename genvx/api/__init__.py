"""The Python interface to the devices of this machine; `genvx` has its names."""
