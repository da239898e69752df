"""Keys, passwords, and how we log in with them."""
