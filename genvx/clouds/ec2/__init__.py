"""Machines of Amazon EC2, each found again by its tags."""
