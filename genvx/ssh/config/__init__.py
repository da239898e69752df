"""Where a host is and how it is reached, from ssh_config and a host's own words."""
