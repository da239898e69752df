"""Who uses GPUs against the rules of the administrator, and what is done about it."""
