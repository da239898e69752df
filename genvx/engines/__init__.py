"""Clusters of Ray and Dask on leased GPUs: runs on several hosts, and who holds them from here."""
