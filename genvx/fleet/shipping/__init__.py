"""Trees of files on their way to hosts."""
