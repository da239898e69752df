"""Where a request goes, and why not elsewhere."""
