"""Many machines at once.

A host is anything that satisfies `fleet.Host`; most are reached over SSH.
"""
