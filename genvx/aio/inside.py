"""What a coroutine asks and changes inside of an environment; see genvx.api.inside."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Any

from genvx.aio.threads import abandonable
from genvx.api import inside

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from genvx.core.leases.grant import Grant


@contextlib.asynccontextmanager
async def lock(timeout: float | None = None) -> AsyncIterator[None]:
    """Take turns on the devices of this process's environment, as `genvx.lock` does."""
    stop = threading.Event()
    turn = await abandonable(lambda: inside.turn(timeout, stop), stop, lambda late: late.withdraw())
    try:
        yield
    finally:
        turn.withdraw()


async def current() -> Grant:
    """Return the environment that this process runs in, as `genvx.current` does."""
    return await asyncio.to_thread(inside.current)


async def active() -> bool:
    """Return whether this process runs in an environment, as `genvx.active` does."""
    return await asyncio.to_thread(inside.active)


async def attach(
    gpus: int | str = 0, *, memory: int | None = None, devices: Sequence[str] = ()
) -> Grant:
    """Add devices to the environment of this process, as `genvx.attach` does."""
    return await asyncio.to_thread(inside.attach, gpus, memory=memory, devices=devices)


async def detach(devices: Sequence[str] = ()) -> Grant:
    """Remove devices from the environment of this process, as `genvx.detach` does."""
    return await asyncio.to_thread(inside.detach, devices)


async def configure(**settings: Any) -> dict[str, Any]:
    """Set defaults of `genvx activate` for this directory, as `genvx.configure` does."""
    return await asyncio.to_thread(lambda: inside.configure(**settings))
