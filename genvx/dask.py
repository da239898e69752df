"""Dask on leased GPUs.

with genvx.dask.Cluster(fleet, nodes=2, gpus=4) as cluster, Client(cluster) as client:
    client.map(...)
"""

from __future__ import annotations

from genvx.engines.daskcluster import Cluster

__all__ = ["Cluster"]
