"""Ray on leased GPUs.

with genvx.ray.cluster(fleet, nodes=2, gpus=4) as address:
    ray.init(address)
"""

from __future__ import annotations

from genvx.engines.raycluster import cluster

__all__ = ["cluster"]
