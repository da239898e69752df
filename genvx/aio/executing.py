"""Executors for coroutines."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any, TypeVar

from genvx.aio.threads import in_daemon_thread
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from genvx.fleet.executing.executor import Executor as Pool

T = TypeVar("T")


class Executor:
    """Executor calls functions in workers that hold devices, as `genvx.Executor` does."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of the hosts of the workers that there are, one for each."""
        return self._pool.hosts

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> asyncio.Future[T]:
        """Call `fn(*args, **kwargs)` in a worker; await what is returned for its result."""
        return asyncio.wrap_future(self._pool.submit(fn, *args, **kwargs))

    async def map(
        self, fn: Callable[..., T], *iterables: Iterable[Any], chunksize: int = 1
    ) -> AsyncIterator[T]:
        """Call `fn` with each of the items, in workers; iterate over the results in their order.

        chunksize: how many items travel together. Calls that wait are cancelled when the iteration
        ends.
        """
        if type(chunksize) is not int or chunksize < 1:
            raise InvalidInput(f"chunksize is a number from 1 on, not {chunksize!r}")
        items = zip(*iterables, strict=False)
        futures = []
        while chunk := list(itertools.islice(items, chunksize)):
            futures.append(asyncio.wrap_future(self._pool.submit_chunk(fn, chunk)))
        try:
            for future in futures:
                for result in await future:
                    yield result
        finally:
            for future in futures:
                future.cancel()

    async def shutdown(self, *, cancel_futures: bool = False) -> None:
        """Take no more calls, and wait until those that are there are done."""
        await in_daemon_thread(lambda: self._pool.shutdown(cancel_futures=cancel_futures))

    async def stop(self) -> None:
        """End all workers now, with all that they have started."""
        await in_daemon_thread(self._pool.stop)
