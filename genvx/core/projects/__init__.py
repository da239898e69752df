"""Which files are a project, and how they are named, compared and sent."""
