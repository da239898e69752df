"""Ray on leased GPUs. Import it before ray.

with genvx.ray.Cluster(fleet, nodes=2, gpus=4) as cluster, ray.init(cluster.address):
    ray.get([...])
"""

from __future__ import annotations

from genvx.engines.raycluster import Cluster

__all__ = ["Cluster"]
