"""What holds devices: processes that are started, watched over, and ended."""
