"""What people type: options, and the values that are made of them."""
