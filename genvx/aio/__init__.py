"""`genvx.activate` and related functions for asyncio; none of them blocks the event loop.

    async with genvx.aio.activate(gpus=2, wait=600) as env:
        await env.run(["python", "train.py"], check=True)

    async with genvx.aio.Fleet.from_hostfile("hostfile") as fleet:
        run = await fleet.run("python train.py", gpus=2, detach=True)
        async for line in run.follow():
            ...

A call that is cancelled while it waits leaves no ticket, turn or lease behind.
"""

from __future__ import annotations

from typing import Any

from genvx.aio.activation import Activation, activate
from genvx.aio.inside import active, attach, configure, current, detach, lock

# Loaded when they are first used. No module has the name of a function that is found here: the
# module would replace the function once it is loaded.
_HOMES = {
    "Executor": "genvx.aio.executing",
    "Fleet": "genvx.aio.group",
    "Run": "genvx.aio.handle",
    "Hold": "genvx.aio.holding",
    "Gang": "genvx.aio.holding",
    **dict.fromkeys(("find_run", "run", "runs"), "genvx.aio.detached"),
}

__all__ = [
    "Activation",
    "Executor",
    "Fleet",
    "Gang",
    "Hold",
    "Run",
    "activate",
    "active",
    "attach",
    "configure",
    "current",
    "detach",
    "find_run",
    "lock",
    "run",
    "runs",
]


def __getattr__(name: str) -> Any:
    import importlib

    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'genvx.aio' has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)
