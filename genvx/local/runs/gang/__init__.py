"""How the supervisors of a gang stay in touch."""
