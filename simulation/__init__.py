"""How long people wait, and how busy the machines are, under genvx's rules and under others'."""
