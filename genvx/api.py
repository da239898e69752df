"""The Python interface to the devices of this machine: `genvx.activate` and related functions."""

from __future__ import annotations

import contextlib
import math
import os
import sys
from typing import TYPE_CHECKING, Any

from genvx.core.ask import Ask
from genvx.core.hold import BaseHold
from genvx.core.requirements import Requirements, requirements_of
from genvx.errors import UnknownEnvironment
from genvx.local.host import LocalHost
from genvx.local.turns import take_turn
from genvx.project import changing

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping, Sequence

    from genvx.core.command import Command
    from genvx.core.grant import Grant
    from genvx.core.running import Stream
    from genvx.local.running.hold import LocalHold
    from genvx.local.running.started import LocalRunning
    from genvx.local.state.heldfile import HeldFile


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
            LocalHost().attach(self.grant.environment_id, _more(gpus, memory, devices))
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


def current() -> Grant:
    """Return the environment that this process runs in, as it is now.

    $GENVX_ENVIRONMENT_ID names it; activated shells, `genvx run` and the block of `activate` set
    it.

    Raises:
        UnknownEnvironment: there is none, or it has ended. StateError: the state cannot be read.
    """
    identifier = os.environ.get("GENVX_ENVIRONMENT_ID", "")
    if not identifier:
        raise UnknownEnvironment("this process runs in no environment")
    return LocalHost().grant_of(identifier)


def active() -> bool:
    """Return whether this process runs in an environment that has not ended."""
    try:
        current()
    except UnknownEnvironment:
        return False
    return True


def attach(gpus: int | str = 0, *, memory: int | None = None, devices: Sequence[str] = ()) -> Grant:
    """Add devices to the environment of this process: the whole of each, or `memory` bytes of each.

    Return all that it has then, and set os.environ accordingly. A framework that was already used
    does not see them. gpus: a number, or a request such as "A100:2". devices: numbers or UUIDs of
    certain devices.

    Raises:
        NoCapacity: not enough devices are available. InvalidInput: the request is invalid.
        UnknownEnvironment: this process runs in no environment.
    """
    grant = LocalHost().attach(current().environment_id, _more(gpus, memory, devices))
    os.environ.update(grant.variables)
    return grant


def detach(devices: Sequence[str] = ()) -> Grant:
    """Remove devices from the environment of this process; return what is left.

    devices: numbers or UUIDs; all by default. os.environ is set accordingly.

    Raises:
        UnknownDevice: a device is not in it. UnknownEnvironment: this process runs in no
        environment.
    """
    grant = LocalHost().detach(current().environment_id, devices)
    os.environ.update(grant.variables)
    return grant


@contextlib.contextmanager
def lock(timeout: float | None = None) -> Iterator[None]:
    """Take turns on the devices of this process's environment, first come, first served.

    One block runs at a time, among all environments that share a device with this one. Processes
    that the block starts do not keep the turn when it ends. timeout: the most seconds to wait; None
    has no limit.

    Raises:
        WaitedTooLong: our turn did not come in time. UnknownEnvironment: this process runs in no
        environment.
    """
    mine = turn(timeout)
    try:
        yield
    finally:
        mine.withdraw()


def turn(timeout: float | None, stop: threading.Event | None = None) -> HeldFile:
    """Take the turn of `lock`; it lasts until it is withdrawn. stop: ends the waiting when set."""
    return take_turn(
        LocalHost(),
        current().environment_id,
        command=" ".join(sys.argv),
        patience=math.inf if timeout is None else timeout,
        stop=stop,
    )


def configure(**settings: Any) -> dict[str, Any]:
    """Set defaults of `genvx activate` for this directory; return all that its file has then.

    They are written to the nearest .genvx.toml, or to a new one. settings: options of `genvx
    activate`, with _ for -, such as gpus, name, gpu_memory, time; None removes one.

    Raises:
        InvalidInput: a key or a value is wrong; nothing is changed.
    """
    changes = {key.replace("_", "-"): value for key, value in settings.items()}
    return changing.change(changes)[1]


def _more(gpus: int | str, memory: int | None, devices: Sequence[str]) -> Requirements:
    if devices:
        return Requirements(len(devices), memory, devices=tuple(devices))
    return requirements_of(gpus, memory)
