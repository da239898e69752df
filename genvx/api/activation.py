"""`genvx.activate`: devices of this machine for a block of a program."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from genvx.core.leases.hold import BaseHold
from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements, requirements_of
from genvx.local.host import LocalHost

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence

    from genvx.core.command import Command
    from genvx.core.leases.grant import Grant
    from genvx.core.running import Stream
    from genvx.local.running.hold import LocalHold
    from genvx.local.running.started import LocalRunning


class Activation(BaseHold):
    """Activation holds devices of this machine until the end of its block, `release`, or the end of
    this process.

    Within the block, os.environ has CUDA_VISIBLE_DEVICES and related variables, so a framework that
    is first used there sees these devices only. At its end, their former values are restored.
    Blocks of several threads at once share one os.environ.
    """

    def __init__(self, hold: LocalHold) -> None:
        self.hold = hold
        self._before: dict[str, str | None] | None = None

    @property
    def grant(self) -> Grant:  # type: ignore[override]  # it changes, but not by assignment
        """The environment and its devices, as of the last `attach` or `detach` of this object."""
        return self.hold.grant

    @property
    def host(self) -> LocalHost:
        """This machine."""
        host: LocalHost = self.hold.host
        return host

    def attach(
        self, gpus: int | str = 0, *, memory: int | None = None, devices: Sequence[str] = ()
    ) -> Grant:
        """Add devices; return all that are held then. `genvx.attach` has the arguments."""
        return self._changed(
            LocalHost().attach(self.grant.environment_id, more(gpus, memory, devices))
        )

    def detach(self, devices: Sequence[str] = ()) -> Grant:
        """Remove devices; return what is left. `genvx.detach` has the arguments."""
        return self._changed(LocalHost().detach(self.grant.environment_id, devices))

    def _changed(self, grant: Grant) -> Grant:
        self.hold.grant = grant
        # Only within the block; before it and after it, os.environ is the program's own.
        if self._before is not None:
            os.environ.update(grant.variables)
        return grant

    def start(
        self,
        command: Command,
        *,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> LocalRunning:
        """Start a command on these devices; see `genvx.Hold`."""
        return self.hold.start(command, stdin=stdin, stdout=stdout, stderr=stderr, cwd=cwd, env=env)

    def release(self) -> None:
        """Release the devices, and restore os.environ if the block was entered. Idempotent."""
        # os.environ first: what another thread starts from now on must not see devices that are
        # about to be somebody else's.
        before, self._before = self._before, None
        for name, value in (before or {}).items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self.hold.release()

    def __enter__(self) -> Activation:
        if self._before is None:
            variables = self.grant.variables
            self._before = {name: os.environ.get(name) for name in variables}
            os.environ.update(variables)
        return self


def activate(
    gpus: int | str = 0,
    *,
    memory: int | None = None,
    name: str = "",
    wait: float | None = None,
    time: float | None = None,
    visible_as: str | None = None,
) -> Activation:
    """Take devices of this machine: the whole of each, or `memory` bytes of each.

    gpus: a number, or a request such as "A100:2". wait: the most seconds to wait in line; None does
    not wait. time: seconds after which this process is ended; by default as the policy of the
    machine says, or never. visible_as: "uuid" (the default) or "index", the form of
    CUDA_VISIBLE_DEVICES.

    Raises:
        NoCapacity: not enough devices are available; the message says why for each.
        WaitedTooLong: not enough became available in time. Unsatisfiable: there are never enough.
        InvalidInput: the request is invalid.
        StateError: the state directory is unsafe, full or read-only.
    """
    return take(gpus, memory=memory, name=name, wait=wait, time=time, visible_as=visible_as)


def take(
    gpus: int | str,
    *,
    memory: int | None,
    name: str,
    wait: float | None,
    time: float | None,
    visible_as: str | None,
    stop: threading.Event | None = None,
) -> Activation:
    """Take devices as `activate` does. stop: ends the waiting when it is set."""
    requirements = requirements_of(gpus, memory, visible_as)
    host = LocalHost()
    ask = Ask(requirements, name, command=" ".join(sys.argv), lasts=time, patience=wait)
    hold = host.acquire(ask) if wait is None else host.wait(ask, stop=stop)
    # Where no timer can be started (no more threads or processes), nothing would end this process
    # in time, so it must not have the devices.
    try:
        hold.keep_time()
    except BaseException:
        hold.release()
        raise
    return Activation(hold)


def more(gpus: int | str, memory: int | None, devices: Sequence[str]) -> Requirements:
    """Make requirements of the arguments of `attach`."""
    if devices:
        return Requirements(len(devices), memory, devices=tuple(devices))
    return requirements_of(gpus, memory)
