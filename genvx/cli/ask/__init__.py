"""What people type: options, and the values made from them."""
