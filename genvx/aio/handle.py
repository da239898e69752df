"""`genvx.aio.Run`: a run for coroutines."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING

from genvx.aio.commands import run_on
from genvx.aio.threads import abandonable, in_daemon_thread
from genvx.core.runs.runstate import name_of
from genvx.fleet.lines import Lines

if TYPE_CHECKING:
    import subprocess
    from collections.abc import AsyncIterator, Mapping, Sequence

    from genvx.core.command import Command
    from genvx.core.projects.plan import Landed
    from genvx.core.runs.runinfo import RunInfo
    from genvx.fleet.detaching.run import Run as Handle
    from genvx.fleet.detaching.runs import RunHost
    from genvx.fleet.tunnels.tunnel import Tunnel


class Run:
    """Run is a command that goes on without this program; `genvx.Run` says what each method does.

    All that asks its host is a coroutine. One that is cancelled leaves the run as it is.
    """

    def __init__(self, run: Handle) -> None:
        self._run = run

    @property
    def id(self) -> str:
        """The id of the run, and of its environment."""
        return self._run.id

    @property
    def host(self) -> RunHost:
        """The host of the run; it prints as its name."""
        return self._run.host

    @property
    def name(self) -> str:
        """How the run is called: its label, else its name, else nothing."""
        return self._run.name

    @property
    def hosts(self) -> tuple[RunHost, ...]:
        """The hosts of all its parts that were found, by rank."""
        return self._run.hosts

    @property
    def note(self) -> str:
        """What people should know of its start."""
        return self._run.note

    async def info(self) -> RunInfo:
        """Return all that is known of the run now, or of the part that tells most."""
        return await in_daemon_thread(lambda: self._run.info)

    async def parts(self) -> tuple[RunInfo, ...]:
        """Return what each of `hosts` knows of its part now."""
        return await in_daemon_thread(lambda: self._run.parts)

    async def state(self) -> str:
        """Return the state of the run now, such as "running"."""
        return name_of((await self.info()).state)

    async def returncode(self) -> int | None:
        """Return the exit code of the command; None if it has none, or none yet."""
        return await in_daemon_thread(lambda: self._run.returncode)

    async def wait(self) -> int | None:
        """Wait until the command has ended; return its exit code."""
        stop = threading.Event()
        try:
            return await in_daemon_thread(lambda: self._run.wait(stop=stop))
        finally:
            stop.set()

    async def log(self, lines: int | None = None, *, node: int | None = None) -> bytes:
        """Return the output of the command so far; lines: only so many of the last ones."""
        return await in_daemon_thread(lambda: self._run.log(lines, node=node))

    async def follow(
        self, lines: int | None = None, *, node: int | None = None
    ) -> AsyncIterator[bytes]:
        """Iterate over the lines of the output as they come, to the end of the command; of a run on
        several hosts over those of one part.
        """
        stop = threading.Event()
        pieces = self._run.pieces(lines, node=node, stop=stop)
        found = Lines()
        try:
            while (piece := await in_daemon_thread(lambda: next(pieces, None))) is not None:
                for line in found.feed(piece.data):
                    yield line
            for line in found.finish():
                yield line
        finally:
            stop.set()

    async def follow_all(self, lines: int | None = None) -> AsyncIterator[tuple[int, bytes]]:
        """Iterate over the lines of all parts as they come, each with the rank of its part."""
        stop = threading.Event()
        found = self._run.follow_all(lines, stop=stop)
        try:
            while (each := await in_daemon_thread(lambda: next(found, None))) is not None:
                yield each
        finally:
            stop.set()

    async def stop(
        self, *, grace: float | None = None, force: bool = False, wait: bool = True
    ) -> None:
        """End the run with all the processes that it has started."""
        await in_daemon_thread(lambda: self._run.stop(grace=grace, force=force, wait=wait))

    async def exec(
        self,
        command: Command,
        *,
        check: bool = False,
        capture_output: bool = False,
        input: bytes | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command inside of the run; it is killed if the call is cancelled."""
        inside = await abandonable(
            lambda: self._run.enter(command, env), threading.Event(), lambda late: late.release()
        )
        try:
            return await run_on(
                inside,
                command,
                check=check,
                capture_output=capture_output,
                input=input,
                cwd=cwd,
                env=env,
            )
        finally:
            await asyncio.shield(asyncio.to_thread(inside.release))

    async def pull(
        self,
        dest: str,
        *,
        only: str | Sequence[str] = (),
        everything: bool = False,
        bare: bool = False,
        delete: bool = False,
    ) -> Landed:
        """Copy what the run has made or changed into a directory here.

        If the call is cancelled, the copy goes on in a thread.
        """
        return await in_daemon_thread(
            lambda: self._run.pull(dest, only=only, everything=everything, bare=bare, delete=delete)
        )

    @contextlib.asynccontextmanager
    async def tunnel(
        self,
        port: int,
        local: int | None = None,
        *,
        reverse: bool = False,
        strict: bool = False,
        bind: str | None = None,
        node: int | None = None,
    ) -> AsyncIterator[Tunnel]:
        """Make a port of the run's host a port of this machine for the block."""
        tunnel = await abandonable(
            lambda: self._run.tunnel(
                port, local, reverse=reverse, strict=strict, bind=bind, node=node
            ),
            threading.Event(),
            lambda late: late.close(),
        )
        try:
            yield tunnel
        finally:
            await asyncio.shield(asyncio.to_thread(tunnel.close))

    async def restart(self) -> Run:
        """Start the run, which is over, again where it was; return it as a new one.

        If the call is cancelled, a run that was accepted meanwhile is ended.
        """
        return Run(await abandonable(self._run.restart, threading.Event(), forget))

    async def move(self, to: str | Sequence[str] = ()) -> None:
        """Move the run, which waits, to another host of its fleet.

        If the call is cancelled, the move is brought to its end in a thread.
        """
        await in_daemon_thread(lambda: self._run.move(to))

    async def label(self, label: str) -> None:
        """Give the run another name; "" gives it its first one again."""
        await in_daemon_thread(lambda: self._run.label(label))

    async def tag(self, *tags: str, remove: Sequence[str] = ()) -> None:
        """Add tags to the run, and remove others."""
        await in_daemon_thread(lambda: self._run.tag(*tags, remove=remove))

    async def delete(self) -> None:
        """Move the run into the trash."""
        await in_daemon_thread(self._run.delete)

    async def restore(self) -> None:
        """Move the run out of the trash."""
        await in_daemon_thread(self._run.restore)

    async def purge(self) -> None:
        """Delete the run in the trash for good."""
        await in_daemon_thread(self._run.purge)

    def __eq__(self, other: object) -> bool:
        return self._run == other._run if isinstance(other, Run) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._run)

    def __repr__(self) -> str:
        return repr(self._run)


def forget(run: Handle) -> None:
    """End a run that was accepted after its call had been cancelled."""
    run.stop(force=True, wait=False)
