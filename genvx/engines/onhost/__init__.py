"""What is sent to hosts: the program that starts an engine on each node of a cluster."""
