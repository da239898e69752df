"""`genvx.aio.activate`: devices of this machine for a block of a coroutine."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import threading
from typing import TYPE_CHECKING

from genvx.aio.commands import to_end
from genvx.aio.threads import abandonable
from genvx.api.activation import take

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from genvx.api.activation import Activation as Taken
    from genvx.core.command import Command
    from genvx.core.device import Device
    from genvx.core.leases.grant import Grant
    from genvx.local.host import LocalHost


class Activation:
    """Activation holds devices of this machine, as `genvx.activate` does."""

    def __init__(self, activation: Taken) -> None:
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
        return await to_end(running, command, input, check=check)


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

    def take_now() -> Taken:
        return take(
            gpus,
            memory=memory,
            name=name,
            wait=wait,
            time=time,
            visible_as=visible_as,
            stop=stop,
        )

    # A thread, because waiting in line blocks; a thread cannot be cancelled, so `stop` ends it.
    activation = await abandonable(take_now, stop, lambda late: late.release())
    try:
        activation.__enter__()
        yield Activation(activation)
    finally:
        activation.release()
