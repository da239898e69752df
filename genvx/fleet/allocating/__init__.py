"""Allocations of Slurm: asked for at the login node, found again, waited for, and given back."""
