"""Sending what people are to be told: nothing that is waited for, and nothing that can hold up a
run.
"""
