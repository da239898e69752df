"""The Python environments that runs need, made once on their host."""
