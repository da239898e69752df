"""Files between this machine and hosts or runs, with a progress line."""
