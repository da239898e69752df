"""Runs on this machine: their records, and the processes that supervise them."""
