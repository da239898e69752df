"""What is asked for, and which devices answer to it."""
