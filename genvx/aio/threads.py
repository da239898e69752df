"""Threads that do what blocks, so that the event loop goes on."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


async def abandonable(
    work: Callable[[], T], stop: threading.Event, undo: Callable[[T], object]
) -> T:
    """Call `work` in a thread; if we are cancelled, set `stop` and undo what the thread did."""
    # shield: a cancelled task would leave its thread running, and nobody would release what the
    # thread takes.
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        stop.set()
        with contextlib.suppress(Exception):
            # The thread may have taken devices just before it saw `stop`: they are released. An
            # error of it interests nobody any more.
            late = await task
            await asyncio.to_thread(undo, late)
        raise


async def in_daemon_thread(work: Callable[[], T]) -> T:
    """Call `work` in a daemon thread; nobody waits for the thread once we are cancelled.

    Children of a killed command may keep its pipes open for hours. asyncio's own threads are joined
    at exit, so Python would not end for as long.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()

    def settle(value: T | None, error: BaseException | None) -> None:
        if not result.done():
            if error is None:
                result.set_result(value)  # type: ignore[arg-type]  # no error: a value
            else:
                result.set_exception(error)

    def run() -> None:
        value, error = None, None
        try:
            value = work()
        except Exception as caught:
            error = caught
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, value, error)

    threading.Thread(target=run, daemon=True).start()
    return await result
