"""What a thread of genvx.aio has taken is given back, however its caller is cancelled."""

from __future__ import annotations

import asyncio
import threading

import pytest

from genvx.aio.threads import abandonable
from tests.helpers import PATIENCE


@pytest.mark.parametrize("times", [1, 2])
def test_what_is_taken_after_the_call_was_cancelled_is_given_back(times):
    go, begun, back = threading.Event(), threading.Event(), threading.Event()

    def take():
        begun.set()
        go.wait(PATIENCE)
        return "devices"

    async def main():
        stop = threading.Event()
        taking = asyncio.ensure_future(abandonable(take, stop, lambda taken: back.set()))
        await asyncio.to_thread(begun.wait, PATIENCE)
        for _ in range(times):
            taking.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert stop.is_set()
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await taking
        assert await asyncio.to_thread(back.wait, PATIENCE)

    asyncio.run(main())
