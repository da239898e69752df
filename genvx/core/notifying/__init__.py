"""Telling people: whom a message goes to, and what it says."""
