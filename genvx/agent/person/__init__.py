"""The `genvx` of a remote shell on a host without an installed genvx: a few verbs for a person."""
