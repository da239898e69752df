"""Verbs that go on until a signal ends them."""
