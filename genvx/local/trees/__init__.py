"""Trees of files: those of a project here, those that have come from elsewhere, and copies."""
