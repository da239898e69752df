"""What verbs do with the devices that they hold: here, on the best host, on several, in place."""
