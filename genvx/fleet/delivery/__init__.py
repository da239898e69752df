"""How the agent gets to a host and is started there."""
