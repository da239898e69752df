"""The contents of files in the state directory."""
