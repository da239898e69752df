"""`genvx.ray.cluster`: a Ray cluster on leased GPUs, while a block lasts."""

from __future__ import annotations

import hashlib
import hmac
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from genvx.engines.cluster import Holder
from genvx.engines.plan import TAG, Plan
from genvx.errors import GenvxError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from genvx import Fleet


def token_of(plan: Plan) -> str:
    """The token that Ray's nodes ask for."""
    return hmac.new(plan.secret.encode(), b"ray", hashlib.sha256).hexdigest()


@contextmanager
def cluster(fleet: Fleet, nodes: int = 1, gpus: int | str = 1, **more: Any) -> Iterator[str]:
    """Start a Ray cluster on `nodes` hosts with such GPUs each; give its address for `ray.init`.

    It is `ray://localhost:PORT`, a tunnel to node 0. Within the block, RAY_AUTH_MODE and
    RAY_AUTH_TOKEN are set for this program, so that Ray's client is let in. At the end of the
    block, and when this program ends in any way, the cluster ends and the GPUs are free. more: as
    for `Fleet.run`, such as python, project, memory, wait, name and env.

    Raises:
        NoCapacity, FleetError, InvalidInput: as of `Fleet.run`. GenvxError: the cluster did not
        start; Ray is not installed there, for example.
    """
    plan = Plan("ray")
    env = {**(more.pop("env", None) or {}), **plan.variables}
    tags = [TAG, *more.pop("tags", ())]
    more.setdefault("name", "ray")
    run = fleet.run(plan.argv, gpus, detach=True, nodes=nodes, env=env, tags=tags, **more)
    holder = Holder(run, plan)
    before = {name: os.environ.get(name) for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN")}
    try:
        info = holder.await_ready()
        if not info["client"]:
            raise GenvxError("ray[client] is not installed on the hosts: nothing here reaches them")
        tunnel = holder.tunnel(int(info["client"]))
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=token_of(plan))
        yield f"ray://localhost:{tunnel.port}"
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        holder.close()
