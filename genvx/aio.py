"""`genvx.activate` and its like for asyncio: nothing here blocks the event loop.

    async with genvx.aio.activate(gpus=2, wait=600) as env:
        await env.run(["python", "train.py"], check=True)

What is cancelled while it waits leaves no ticket, no turn and no lease behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from genvx import api
from genvx.local.hold import find_command

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from genvx.core.device import Device
    from genvx.core.grant import Grant

T = TypeVar("T")


class Activation:
    """Devices of this machine that this process holds; as `genvx.api.Activation`."""

    def __init__(self, activation: api.Activation) -> None:
        self._activation = activation

    @property
    def grant(self) -> Grant:
        return self._activation.grant

    @property
    def devices(self) -> tuple[Device, ...]:
        return self._activation.devices

    async def attach(
        self, gpus: int | str = 0, *, memory: int | None = None, devices: Sequence[str] = ()
    ) -> Grant:
        """Take more devices."""
        return await asyncio.to_thread(
            self._activation.attach, gpus, memory=memory, devices=devices
        )

    async def detach(self, devices: Sequence[str] = ()) -> Grant:
        """Give devices back."""
        return await asyncio.to_thread(self._activation.detach, devices)

    async def run(self, command: str | Sequence[str], *, check: bool = False) -> int:
        """Run a command on these devices, with our streams; return its exit code. One that is
        cancelled is killed.

        Raises:
            subprocess.CalledProcessError: `check` is true and the command failed.
            InvalidInput: there is no such command.
        """
        argv = ["sh", "-c", command] if isinstance(command, str) else list(command)
        hold = self._activation.hold
        find_command(argv, hold.environment())
        process = await asyncio.create_subprocess_exec(
            *argv, env=hold.environment(), pass_fds=(hold.descriptor,)
        )
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        if check and code:
            raise subprocess.CalledProcessError(code, argv)
        return code


@contextlib.asynccontextmanager
async def activate(
    gpus: int | str = 0,
    *,
    memory: int | None = None,
    name: str = "",
    wait: float | None = None,
    time: float | None = None,
) -> AsyncIterator[Activation]:
    """Take devices of this machine for the block; as `genvx.activate`, and with its errors."""
    stop = threading.Event()

    def take() -> api.Activation:
        return api.take(gpus, memory=memory, name=name, wait=wait, time=time, stop=stop)

    activation = await _abandonable(take, stop, lambda late: late.release())
    try:
        activation.__enter__()
        yield Activation(activation)
    finally:
        activation.release()


@contextlib.asynccontextmanager
async def lock(timeout: float | None = None) -> AsyncIterator[None]:
    """Take turns on the devices of this process's environment; as `genvx.lock`."""
    stop = threading.Event()
    turn = await _abandonable(lambda: api.turn(timeout, stop), stop, lambda late: late.withdraw())
    try:
        yield
    finally:
        turn.withdraw()


async def current() -> Grant:
    """The environment that this process runs in; as `genvx.current`."""
    return await asyncio.to_thread(api.current)


async def active() -> bool:
    """Whether this process runs in an environment that lives; as `genvx.active`."""
    return await asyncio.to_thread(api.active)


async def attach(
    gpus: int | str = 0, *, memory: int | None = None, devices: Sequence[str] = ()
) -> Grant:
    """Give the environment of this process more devices; as `genvx.attach`."""
    return await asyncio.to_thread(api.attach, gpus, memory=memory, devices=devices)


async def detach(devices: Sequence[str] = ()) -> Grant:
    """Take devices away from the environment of this process; as `genvx.detach`."""
    return await asyncio.to_thread(api.detach, devices)


async def configure(**settings: Any) -> dict[str, Any]:
    """Set what `genvx activate` takes in this directory; as `genvx.configure`."""
    return await asyncio.to_thread(lambda: api.configure(**settings))


async def _abandonable(
    work: Callable[[], T], stop: threading.Event, undo: Callable[[T], object]
) -> T:
    """Do something in a thread that ends when `stop` is set; what it has had then is undone."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        stop.set()
        with contextlib.suppress(Exception):
            # Whatever it fails of now, nobody waits for it any more.
            undo(await task)
        raise
