"""`genvx.activate` and related functions for asyncio; none of them blocks the event loop.

    async with genvx.aio.activate(gpus=2, wait=600) as env:
        await env.run(["python", "train.py"], check=True)

A call that is cancelled while it waits leaves no ticket, turn or lease behind.
"""

from genvx.aio.activation import Activation, activate
from genvx.aio.inside import active, attach, configure, current, detach, lock

__all__ = [
    "Activation",
    "activate",
    "active",
    "attach",
    "configure",
    "current",
    "detach",
    "lock",
]
