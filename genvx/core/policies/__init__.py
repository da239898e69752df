"""What the administrator allows."""
