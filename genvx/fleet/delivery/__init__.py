"""Delivery of the agent to hosts, and its start there."""
