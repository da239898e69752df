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
    loop = asyncio.get_running_loop()
    lock = threading.Lock()
    cancelled = False
    made: list[T] = []

    def run() -> None:
        value = work()
        with lock:
            if not cancelled:
                made.append(value)
                return
        # By the thread itself: we may be cancelled once more while we wait for it, and nobody would
        # release what it took.
        with contextlib.suppress(Exception):
            undo(value)

    # shield: a cancelled task would leave its thread running.
    task = asyncio.ensure_future(asyncio.to_thread(run))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        with lock:
            cancelled = True
        stop.set()
        with contextlib.suppress(Exception):  # nobody is interested in an error any more
            if made:
                await asyncio.shield(loop.run_in_executor(None, undo, made[0]))
            else:
                await asyncio.shield(task)
        raise
    return made[0]


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
