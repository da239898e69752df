"""`genvx.aio.Fleet`: the devices and runs of many hosts, for coroutines."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Any, Literal, overload

from genvx.aio.commands import run_on
from genvx.aio.executing import Executor
from genvx.aio.handle import Run, forget
from genvx.aio.holding import Gang, Hold, held_by
from genvx.aio.threads import abandonable, in_daemon_thread
from genvx.api.fleet import Fleet as Hosts
from genvx.core.command import require_variables, words_of
from genvx.fleet.containers import container_of
from genvx.fleet.defaults import FANOUT
from genvx.fleet.detaching.attached import place_of
from genvx.fleet.detaching.foundruns import FoundRuns
from genvx.ssh.defaults import TIMEOUT

if TYPE_CHECKING:
    import os
    import subprocess
    from collections.abc import AsyncIterator, Mapping, Sequence

    from genvx.core.command import Command
    from genvx.core.projects.plan import Landed
    from genvx.core.runs.debugport import DebugPort
    from genvx.core.runs.service import Service
    from genvx.core.snapshot import Snapshot
    from genvx.fleet.outcomes import Outcomes
    from genvx.sweeps.found import Sweep


class Fleet:
    """Fleet is a `genvx.Fleet` for coroutines."""

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

    async def sweep(
        self,
        command: Command,
        space: Mapping[str, Any],
        *,
        trials: int | None = None,
        gpus: int | str = 0,
        memory: int | None = None,
        maximize: bool = True,
        tuner: str = "random",
        options: Mapping[str, Any] | None = None,
        pruner: str = "",
        seed: int | None = None,
        concurrency: int | None = None,
        duration: float | None = None,
        stop_when: str = "",
        metric: str = "",
        retries: int = 0,
        time_limit: float | None = None,
        name: str = "",
        cwd: str = "",
        env: Mapping[str, str] | None = None,
        project: str | os.PathLike[str] | None = None,
        python: str | None = None,
        extras: Sequence[str] = (),
        wheels: str | os.PathLike[str] | None = None,
        setup: str = "",
    ) -> Sweep:
        """Run a command with many different parameters, as `genvx.Fleet.sweep` does.

        If the call is cancelled, all trials are ended.
        """
        stop = threading.Event()
        return await abandonable(
            lambda: self._fleet.sweep(
                command,
                space,
                trials=trials,
                gpus=gpus,
                memory=memory,
                maximize=maximize,
                tuner=tuner,
                options=options,
                pruner=pruner,
                seed=seed,
                concurrency=concurrency,
                duration=duration,
                stop_when=stop_when,
                metric=metric,
                retries=retries,
                time_limit=time_limit,
                name=name,
                cwd=cwd,
                env=env,
                project=project,
                python=python,
                extras=extras,
                wheels=wheels,
                setup=setup,
                stop=stop,
            ),
            stop,
            lambda late: None,
        )

    async def snapshot(self) -> Outcomes[Snapshot]:
        """Take a snapshot of every host, all at once."""
        return await in_daemon_thread(self._fleet.snapshot)

    @contextlib.asynccontextmanager
    async def activate(
        self,
        gpus: int | str = 0,
        *,
        memory: int | None = None,
        name: str = "",
        wait: float | None = None,
        time: float | None = None,
        visible_as: str | None = None,
    ) -> AsyncIterator[Hold]:
        """Take devices on the best host for the block, as `genvx.Fleet.activate` does.

        If the call is cancelled while it waits, no ticket and no lease is left.
        """
        stop = threading.Event()
        hold = Hold(
            await abandonable(
                lambda: self._fleet.activate(
                    gpus,
                    memory=memory,
                    name=name,
                    wait=wait,
                    time=time,
                    visible_as=visible_as,
                    stop=stop,
                ),
                stop,
                lambda late: late.release(),
            )
        )
        try:
            yield hold
        finally:
            await hold.release()

    @contextlib.asynccontextmanager
    async def gang(
        self,
        nodes: int,
        gpus: int | str = 0,
        *,
        memory: int | None = None,
        name: str = "",
        wait: float | None = None,
        time: float | None = None,
        mixed: bool = False,
        visible_as: str | None = None,
    ) -> AsyncIterator[Gang]:
        """Take the same devices on each of several hosts for the block, as `genvx.Fleet.gang` does.

        If the call is cancelled while it waits, no ticket and no lease is left.
        """
        stop = threading.Event()
        gang = Gang(
            await abandonable(
                lambda: self._fleet.gang(
                    nodes,
                    gpus,
                    memory=memory,
                    name=name,
                    wait=wait,
                    time=time,
                    mixed=mixed,
                    visible_as=visible_as,
                    stop=stop,
                ),
                stop,
                lambda late: late.release(),
            )
        )
        try:
            yield gang
        finally:
            await gang.release()

    @contextlib.asynccontextmanager
    async def executor(self, gpus: int | str = 1, **more: Any) -> AsyncIterator[Executor]:
        """Make an executor for the block; `genvx.Fleet.executor` has the arguments.

        At the end of the block it waits for the calls that are there. An error in the block ends
        all workers at once, as does a cancellation.
        """
        stop = threading.Event()
        pool = await abandonable(
            lambda: self._fleet.executor(gpus, stop=stop, **more), stop, lambda late: late.stop()
        )
        executor = Executor(pool)
        try:
            yield executor
            await executor.shutdown()
        except BaseException:
            await asyncio.shield(executor.stop())
            raise

    @overload
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
        notify: str | Sequence[str] = (),
        tty: bool = False,
        log_limit: int | None = None,
        debug_port: DebugPort | None = None,
        service: Service | None = None,
        project: str | os.PathLike[str] | None = None,
        follow_links: bool = False,
        yes: bool = False,
        python: str | None = None,
        extras: Sequence[str] = (),
        wheels: str | os.PathLike[str] | None = None,
        setup: str = "",
        image: str | None = None,
        runtime: str | None = None,
        mounts: str | Sequence[str] = (),
    ) -> Run: ...

    @overload
    async def run(
        self,
        command: Command,
        gpus: int | str = 0,
        *,
        detach: Literal[False] = False,
        memory: int | None = None,
        name: str = "",
        wait: float | None = None,
        time: float | None = None,
        visible_as: str | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        image: str | None = None,
        runtime: str | None = None,
        mounts: str | Sequence[str] = (),
        check: bool = False,
        capture_output: bool = False,
        input: bytes | None = None,
    ) -> subprocess.CompletedProcess[bytes]: ...

    async def run(
        self, command: Command, gpus: int | str = 0, *, detach: bool = False, **more: Any
    ) -> Run | subprocess.CompletedProcess[bytes]:
        """Run a command on the best host, as `genvx.Fleet.run` does.

        If the call is cancelled, the command is killed, and a run that was accepted meanwhile is
        ended.
        """
        if not detach:
            return await self._to_end(command, gpus, **more)
        started = await abandonable(
            lambda: self._fleet.run(command, gpus, detach=True, **more), threading.Event(), forget
        )
        return Run(started)

    async def _to_end(
        self,
        command: Command,
        gpus: int | str,
        *,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        image: str | None = None,
        runtime: str | None = None,
        mounts: str | Sequence[str] = (),
        check: bool = False,
        capture_output: bool = False,
        input: bytes | None = None,
        **request: Any,
    ) -> subprocess.CompletedProcess[bytes]:
        words_of(command)
        require_variables(env or {})
        inside = container_of(image, runtime, mounts, remote=True)
        async with self.activate(gpus, **request) as hold:
            return await run_on(
                place_of(held_by(hold), inside),
                command,
                check=check,
                capture_output=capture_output,
                input=input,
                cwd=cwd,
                env=env,
            )

    async def push(
        self,
        directory: str,
        dest: str,
        hosts: str | Sequence[str] = (),
        *,
        everything: bool = False,
        follow_links: bool = False,
        delete: bool = False,
    ) -> Outcomes[Landed]:
        """Copy a directory of this machine into one of each host, as `genvx.Fleet.push` does.

        If the call is cancelled, the copy goes on in a thread.
        """
        return await in_daemon_thread(
            lambda: self._fleet.push(
                directory,
                dest,
                hosts,
                everything=everything,
                follow_links=follow_links,
                delete=delete,
            )
        )

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
