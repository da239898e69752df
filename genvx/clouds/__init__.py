"""Machines and storage that are rented: it knows no GPU, no lease and no host of a fleet."""
