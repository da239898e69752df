"""How values are written and read: on the wire, in state files, in answers of hosts."""
