"""`genvx.activate` and related functions for asyncio; none of them blocks the event loop.

    async with genvx.aio.activate(gpus=2, wait=600) as env:
        await env.run(["python", "train.py"], check=True)

A call that is cancelled while it waits leaves no ticket, turn or lease behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from genvx import api

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from genvx.core.command import Command
    from genvx.core.device import Device
    from genvx.core.grant import Grant
    from genvx.local.host import LocalHost

T = TypeVar("T")


class Activation:
    """Activation holds devices of this machine, as `genvx.api.Activation` does."""

    def __init__(self, activation: api.Activation) -> None:
        self._activation = activation

    @property
    def grant(self) -> Grant:
        """The environment and its devices."""
        return self._activation.grant

    @property
    def host(self) -> LocalHost:
        """This machine."""
        return self._activation.host

    @property
    def devices(self) -> tuple[Device, ...]:
        """The devices that are held."""
        return self._activation.devices

    @property
    def environment_id(self) -> str:
        """The id of the environment that holds them."""
        return self._activation.environment_id

    async def attach(
        self, gpus: int | str = 0, *, memory: int | None = None, devices: Sequence[str] = ()
    ) -> Grant:
        """Add devices; return all that are held then."""
        return await asyncio.to_thread(
            self._activation.attach, gpus, memory=memory, devices=devices
        )

    async def detach(self, devices: Sequence[str] = ()) -> Grant:
        """Remove devices; return what is left."""
        return await asyncio.to_thread(self._activation.detach, devices)

    async def run(
        self,
        command: Command,
        *,
        check: bool = False,
        capture_output: bool = False,
        input: bytes | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command on these devices until it ends, as `genvx.Hold.run` does.

        If the call is cancelled, the command is killed.

        Raises:
            subprocess.CalledProcessError: `check` is true and the command failed.
            InvalidInput: there is no such command or directory.
        """
        pipe = subprocess.PIPE if capture_output else None
        running = self._activation.start(
            command,
            stdin=None if input is None else subprocess.PIPE,
            stdout=pipe,
            stderr=pipe,
            cwd=cwd,
            env=env,
        )
        try:
            output = await _in_daemon_thread(lambda: running.communicate(input))
        except asyncio.CancelledError:
            running.kill()
            raise
        finally:
            running.close()
        code = running.wait()
        if check and code:
            raise subprocess.CalledProcessError(code, command, *output)
        return subprocess.CompletedProcess(command, code, *output)


@contextlib.asynccontextmanager
async def activate(
    gpus: int | str = 0,
    *,
    memory: int | None = None,
    name: str = "",
    wait: float | None = None,
    time: float | None = None,
    visible_as: str | None = None,
) -> AsyncIterator[Activation]:
    """Take devices of this machine for the block, as `genvx.activate` does, with its errors."""
    stop = threading.Event()

    def take() -> api.Activation:
        return api.take(
            gpus,
            memory=memory,
            name=name,
            wait=wait,
            time=time,
            visible_as=visible_as,
            stop=stop,
        )

    # A thread, because waiting in line blocks; a thread cannot be cancelled, so `stop` ends it.
    activation = await _abandonable(take, stop, lambda late: late.release())
    try:
        activation.__enter__()
        yield Activation(activation)
    finally:
        activation.release()


@contextlib.asynccontextmanager
async def lock(timeout: float | None = None) -> AsyncIterator[None]:
    """Take turns on the devices of this process's environment, as `genvx.lock` does."""
    stop = threading.Event()
    turn = await _abandonable(lambda: api.turn(timeout, stop), stop, lambda late: late.withdraw())
    try:
        yield
    finally:
        turn.withdraw()


async def current() -> Grant:
    """Return the environment that this process runs in, as `genvx.current` does."""
    return await asyncio.to_thread(api.current)


async def active() -> bool:
    """Return whether this process runs in an environment, as `genvx.active` does."""
    return await asyncio.to_thread(api.active)


async def attach(
    gpus: int | str = 0, *, memory: int | None = None, devices: Sequence[str] = ()
) -> Grant:
    """Add devices to the environment of this process, as `genvx.attach` does."""
    return await asyncio.to_thread(api.attach, gpus, memory=memory, devices=devices)


async def detach(devices: Sequence[str] = ()) -> Grant:
    """Remove devices from the environment of this process, as `genvx.detach` does."""
    return await asyncio.to_thread(api.detach, devices)


async def configure(**settings: Any) -> dict[str, Any]:
    """Set defaults of `genvx activate` for this directory, as `genvx.configure` does."""
    return await asyncio.to_thread(lambda: api.configure(**settings))


async def _abandonable(
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
            undo(await task)
        raise


async def _in_daemon_thread(work: Callable[[], T]) -> T:
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
