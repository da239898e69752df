"""Between our terminal and a command on a host."""
