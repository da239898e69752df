"""How leases are made: for new environments, for living ones, and as reservations."""
