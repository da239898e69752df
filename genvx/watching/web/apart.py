"""Calls that may take long, in threads of their own: the server's loop goes on meanwhile."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


async def apart(call: Callable[[], T]) -> T:
    """Return what a call returns, or raise what it raises.

    The thread is a daemon, unlike those of `asyncio.to_thread`: a host that hangs does not keep
    the program from ending.
    """
    result: concurrent.futures.Future[T] = concurrent.futures.Future()
    result.set_running_or_notify_cancel()  # whoever waits may go; the call is made to its end

    def work() -> None:
        try:
            result.set_result(call())
        except BaseException as error:
            result.set_exception(error)

    threading.Thread(target=work, name="genvx page", daemon=True).start()
    return await asyncio.wrap_future(result)
