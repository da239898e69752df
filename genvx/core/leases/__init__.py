"""What is held, by whom, and what that gives them."""
