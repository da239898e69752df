"""What a program asks and changes inside of an environment: `genvx.current`, `attach`, `lock`."""

from __future__ import annotations

import contextlib
import math
import os
import sys
from typing import TYPE_CHECKING, Any

from genvx.api.activation import more
from genvx.errors import UnknownEnvironment
from genvx.local.host import LocalHost
from genvx.local.turns import take_turn
from genvx.project import changing

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Sequence

    from genvx.core.leases.grant import Grant
    from genvx.local.state.heldfile import HeldFile


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
    grant = LocalHost().attach(current().environment_id, more(gpus, memory, devices))
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
