"""`genvx.aio.Fleet`: the runs of many hosts, for coroutines."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Literal

from genvx.aio.handle import Run, forget
from genvx.aio.threads import abandonable, in_daemon_thread
from genvx.errors import InvalidInput
from genvx.fleet.defaults import FANOUT
from genvx.fleet.detaching.foundruns import FoundRuns
from genvx.fleet.fleet import Fleet as Hosts
from genvx.ssh.defaults import TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from genvx.core.command import Command
    from genvx.core.snapshot import Snapshot
    from genvx.fleet.outcomes import Outcomes


class Fleet:
    """Fleet is a `genvx.Fleet` for coroutines: its snapshots and its runs."""

    def __init__(self, fleet: Hosts[Any]) -> None:
        self._fleet = fleet

    @classmethod
    def from_hostfile(cls, path: str, *, fanout: int = FANOUT, timeout: float = TIMEOUT) -> Fleet:
        """Make a fleet of the hosts of a hostfile, as `genvx.Fleet.from_hostfile` does."""
        return cls(Hosts.from_hostfile(path, fanout=fanout, timeout=timeout))

    @classmethod
    def from_remote(cls, name: str, *, fanout: int = FANOUT, timeout: float = TIMEOUT) -> Fleet:
        """Make a fleet of the hosts of a remote, as `genvx.Fleet.from_remote` does."""
        return cls(Hosts.from_remote(name, fanout=fanout, timeout=timeout))

    @property
    def hosts(self) -> tuple[Any, ...]:
        """The hosts of the fleet."""
        return self._fleet.hosts

    async def snapshot(self) -> Outcomes[Snapshot]:
        """Take a snapshot of every host, all at once."""
        return await in_daemon_thread(self._fleet.snapshot)

    async def run(
        self,
        command: Command,
        gpus: int | str = 0,
        *,
        detach: Literal[True],
        memory: int | None = None,
        name: str = "",
        wait: float | None = None,
        time: float | None = None,
        visible_as: str | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        nodes: int | None = None,
        mixed: bool = False,
        tags: Sequence[str] = (),
        hold: float | None = None,
        hold_when: str = "always",
        retries: int = 0,
        notify: str = "",
        tty: bool = False,
        log_limit: int | None = None,
    ) -> Run:
        """Start a run on the best host, as `genvx.Fleet.run` does; only with `detach`.

        If the call is cancelled, a run that was accepted meanwhile is ended.
        """
        if detach is not True:
            raise InvalidInput("a fleet for coroutines runs commands with detach=True only")
        started = await abandonable(
            lambda: self._fleet.run(
                command,
                gpus,
                detach=True,
                memory=memory,
                name=name,
                wait=wait,
                time=time,
                visible_as=visible_as,
                cwd=cwd,
                env=env,
                nodes=nodes,
                mixed=mixed,
                tags=tags,
                hold=hold,
                hold_when=hold_when,
                retries=retries,
                notify=notify,
                tty=tty,
                log_limit=log_limit,
            ),
            threading.Event(),
            forget,
        )
        return Run(started)

    async def runs(
        self,
        state: str | Sequence[str] = (),
        tags: str | Sequence[str] = (),
        name: str | None = None,
        since: float | None = None,
        most: int = 1000,
        *,
        deleted: bool = False,
    ) -> FoundRuns[Run]:
        """List our runs on all hosts, as `genvx.Fleet.runs` does."""
        found = await in_daemon_thread(
            lambda: self._fleet.runs(state, tags, name, since, most, deleted=deleted)
        )
        return FoundRuns([Run(each) for each in found], found.failed)

    async def find_run(self, run: str | int = "") -> Run:
        """Find a run of ours, as `genvx.Fleet.find_run` does."""
        return Run(await in_daemon_thread(lambda: self._fleet.find_run(run)))

    async def close(self) -> None:
        """Close every connection; runs go on."""
        await in_daemon_thread(self._fleet.close)

    async def __aenter__(self) -> Fleet:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()
