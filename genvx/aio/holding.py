"""`genvx.aio.Hold` and `Gang`: devices of other hosts, for coroutines."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from genvx.aio.commands import run_on

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping

    from genvx.core.command import Command
    from genvx.core.device import Device
    from genvx.core.leases.grant import Grant
    from genvx.fleet.gang import Gang as TakenOnAll
    from genvx.fleet.host import Hold as Taken


class Hold:
    """Hold has devices of a host, as `genvx.Hold` does, until the end of its block."""

    def __init__(self, hold: Taken) -> None:
        self._hold = hold

    @property
    def grant(self) -> Grant:
        """The environment and its devices."""
        return self._hold.grant

    @property
    def host(self) -> Any:
        """The host of the devices; it prints as its name."""
        return self._hold.host

    @property
    def devices(self) -> tuple[Device, ...]:
        """The devices that are held."""
        return self._hold.devices

    @property
    def environment_id(self) -> str:
        """The id of the environment that holds them."""
        return self._hold.environment_id

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
            InvalidInput: there is no such command or directory. HostError: the host is gone.
        """
        return await run_on(
            self._hold,
            command,
            check=check,
            capture_output=capture_output,
            input=input,
            cwd=cwd,
            env=env,
        )

    async def release(self) -> None:
        """Give the devices back; further calls do nothing."""
        await asyncio.shield(asyncio.to_thread(self._hold.release))


def held_by(hold: Hold) -> Taken:
    """The hold behind one."""
    return hold._hold


class Gang:
    """Gang has devices on several hosts, as `genvx.Fleet.gang` takes them, to the end of its block.

    members: each host and its hold, by rank.
    """

    def __init__(self, gang: TakenOnAll[Any]) -> None:
        self._gang = gang
        self.members: tuple[tuple[Any, Hold], ...] = tuple(
            (host, Hold(hold)) for host, hold in gang.members
        )

    async def release(self) -> None:
        """Give the devices on all hosts back; further calls do nothing."""
        await asyncio.shield(asyncio.to_thread(self._gang.release))
