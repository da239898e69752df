"""Which hosts there are: hostfiles and names of hosts."""
