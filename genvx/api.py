"""Devices of this machine for a Python program: `genvx.activate`, and what goes with it."""

from __future__ import annotations

import contextlib
import math
import os
import sys
from typing import TYPE_CHECKING, Any

from genvx import project
from genvx.core.ask import Ask
from genvx.core.hold import BaseHold
from genvx.core.requirements import Requirements, requirements_of
from genvx.errors import UnknownEnvironment
from genvx.local.host import LocalHost
from genvx.local.turns import take_turn

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping, Sequence

    from genvx.core.command import Command, Stream
    from genvx.core.grant import Grant
    from genvx.local.running.hold import LocalHold
    from genvx.local.running.started import LocalRunning
    from genvx.local.state.heldfile import HeldFile


class Activation(BaseHold):
    """Devices of this machine that this process holds until the end of the block, `release`, or its
    death.

    Inside the block os.environ has CUDA_VISIBLE_DEVICES and its like, so a framework that is first
    used there sees these devices only; at the end they are as they were. Blocks of several threads
    at once share one os.environ.
    """

    def __init__(self, hold: LocalHold) -> None:
        self.hold = hold
        self._before: dict[str, str | None] | None = None

    @property
    def grant(self) -> Grant:  # type: ignore[override]  # it changes, but not by assignment
        """What it has; after `attach` and `detach` of ours, what it has then."""
        return self.hold.grant

    @property
    def host(self) -> LocalHost:
        """This machine."""
        host: LocalHost = self.hold.host
        return host

    def attach(
        self, gpus: int | str = 0, *, memory: int | None = None, devices: Sequence[str] = ()
    ) -> Grant:
        """Take more devices; see `genvx.attach`."""
        return self._changed(
            LocalHost().attach(self.grant.environment, _more(gpus, memory, devices))
        )

    def detach(self, devices: Sequence[str] = ()) -> Grant:
        """Give devices back; see `genvx.detach`."""
        return self._changed(LocalHost().detach(self.grant.environment, devices))

    def _changed(self, grant: Grant) -> Grant:
        self.hold.grant = grant
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
        """Give the devices back, and restore os.environ if the block was entered."""
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
    """Take devices of this machine; the whole of each, or `memory` bytes of each.

    gpus: how many, or a request such as "A100:2". wait: seconds to wait in line at most; None does
    not wait. time: seconds after which this process is ended; by default what the policy of the
    machine says, or never. visible_as: "index" has CUDA_VISIBLE_DEVICES name them by number, "uuid"
    by UUID, which is the default.

    Raises:
        NoCapacity: not enough devices are available; the message says why, device by device.
        WaitedTooLong: they were not to be had in time. Unsatisfiable: they never are.
        InvalidInput: the request makes no sense.
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
    """As `activate`; stop: ends the waiting when it is set."""
    requirements = requirements_of(gpus, memory, visible_as)
    host = LocalHost()
    ask = Ask(requirements, name, command=" ".join(sys.argv), lasts=time, patience=wait)
    hold = host.acquire(ask) if wait is None else host.wait(ask, stop=stop)
    try:
        hold.keep_time()
    except BaseException:
        hold.release()
        raise
    return Activation(hold)


def current() -> Grant:
    """The environment that this process runs in, as it is now.

    It is told by $GENVX_ENVIRONMENT_ID, which activated shells, `genvx run` and the block of
    `activate` set.

    Raises:
        UnknownEnvironment: there is none, or it has ended. StateError: the state cannot be read.
    """
    identifier = os.environ.get("GENVX_ENVIRONMENT_ID", "")
    if not identifier:
        raise UnknownEnvironment("this process runs in no environment")
    return LocalHost().grant_of(identifier)


def active() -> bool:
    """Whether this process runs in an environment that lives."""
    try:
        current()
    except UnknownEnvironment:
        return False
    return True


def attach(gpus: int | str = 0, *, memory: int | None = None, devices: Sequence[str] = ()) -> Grant:
    """Give the environment of this process more devices; the whole of each, or `memory` bytes.

    gpus: how many, or a request such as "A100:2". devices: these, by number or UUID. Returns all
    that it has then; os.environ has it, too. A framework that was used already does not see them.

    Raises:
        NoCapacity: not enough are available. InvalidInput: the request makes no sense.
        UnknownEnvironment: this process runs in no environment.
    """
    grant = LocalHost().attach(current().environment, _more(gpus, memory, devices))
    os.environ.update(grant.variables)
    return grant


def detach(devices: Sequence[str] = ()) -> Grant:
    """Take devices away from the environment of this process, named by number or UUID; all of them
    by default. Returns what is left; os.environ has it, too.

    Raises:
        UnknownDevice: one of them is not in it. UnknownEnvironment: there is no environment.
    """
    grant = LocalHost().detach(current().environment, devices)
    os.environ.update(grant.variables)
    return grant


@contextlib.contextmanager
def lock(timeout: float | None = None) -> Iterator[None]:
    """Take turns on the devices of this process's environment: one block at a time, here and in all
    environments that share a device with it, first come, first served.

    timeout: seconds to wait for the turn at most. What the block starts does not take the turn
    along.

    Raises:
        WaitedTooLong: it was not our turn in time. UnknownEnvironment: there is no environment.
    """
    mine = turn(timeout)
    try:
        yield
    finally:
        mine.withdraw()


def turn(timeout: float | None, stop: threading.Event | None = None) -> HeldFile:
    """The turn of `lock`, until it is withdrawn; stop: ends the waiting when it is set."""
    return take_turn(
        LocalHost(),
        current().environment,
        command=" ".join(sys.argv),
        patience=math.inf if timeout is None else timeout,
        stop=stop,
    )


def configure(**settings: Any) -> dict[str, Any]:
    """Set what `genvx activate` takes in this directory, in the nearest .genvx.toml or a new one;
    None unsets. Returns all that it says then.

    settings: the options of `genvx activate`, with _ for -, such as gpus, name, gpu_memory, time.

    Raises:
        InvalidInput: a key or a value is wrong; nothing is changed.
    """
    changes = {key.replace("_", "-"): value for key, value in settings.items()}
    return project.change(changes)[1]


def _more(gpus: int | str, memory: int | None, devices: Sequence[str]) -> Requirements:
    if devices:
        return Requirements(len(devices), memory, devices=tuple(devices))
    return requirements_of(gpus, memory)
