"""What `genvx doctor` checks on this machine."""
