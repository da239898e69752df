"""Taking devices on the best host of a fleet and running a command on them.

`genvx remote activate` and `genvx remote run` call these functions, and any program can.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING

from genvx.core.ask import Ask, Join
from genvx.errors import GenvxError
from genvx.fleet import own
from genvx.fleet.line import wait_for_room
from genvx.fleet.stdin import not_stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import FrameType

    from genvx.core.ask import Wanted
    from genvx.core.grant import Grant
    from genvx.core.snapshot import Snapshot
    from genvx.core.standing import Standing
    from genvx.core.wire.job import Job
    from genvx.fleet.ask import HostGroup, Outcomes
    from genvx.fleet.remotehold import RemoteHold, Started
    from genvx.fleet.sshhost import SSHHost

_FORWARDED = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)


def hold(
    fleet: HostGroup[SSHHost],
    wanted: Wanted,
    seen: Outcomes[Snapshot],
    *,
    tell: Callable[[str, Standing], None] = lambda host, standing: None,
    ready: Callable[[SSHHost], object] = lambda host: None,
) -> tuple[SSHHost, RemoteHold]:
    """Take devices on the best host, or join an environment of ours by id or name.

    wanted: waits in line if it has patience. seen: snapshots of the hosts. tell: called with a host
    and the place in its line. ready: called with a host before anything is taken there; it may
    raise.

    Raises:
        NoCapacity: no host has room. UnknownEnvironment: there is none to join. FleetError: no host
        answered.
    """
    if isinstance(wanted, Join):
        host, env = own.there(fleet, seen, wanted.environment_id)
        return host, host.join(env.id, command=wanted.command)
    ask: Ask = wanted
    if ask.patience is not None:
        found, held = wait_for_room(fleet, ask, tell=tell, seen=seen)
        return fleet.host(found.name), held

    def acquire(host: SSHHost) -> tuple[SSHHost, RemoteHold]:
        ready(host)
        return host, host.acquire(ask)

    return fleet.first_with_room(ask.requirements, acquire, seen)


def start(
    fleet: HostGroup[SSHHost],
    wanted: Wanted,
    job: Job,
    seen: Outcomes[Snapshot],
    *,
    tell: Callable[[str, Standing], None] = lambda host, standing: None,
) -> tuple[SSHHost, Started]:
    """Start a command on the best host, or in an environment of ours; see `hold`.

    Raises: as `hold`. CommandNotFound: the host does not have the command.
    """
    if isinstance(wanted, Join):
        home, env = own.there(fleet, seen, wanted.environment_id)
        return home, home.start(Join(env.id, wanted.command), job)
    ask: Ask = wanted
    if ask.patience is not None:
        host, held = hold(fleet, ask, seen, tell=tell)
        with held:
            # The command joins our environment. It holds the devices by itself once we let go.
            return host, host.start(Join(held.environment_id, ask.command), job)

    def act(host: SSHHost) -> tuple[SSHHost, Started]:
        return host, host.start(ask, job)

    return fleet.first_with_room(ask.requirements, act, seen)


def stream(host: SSHHost, command: Started) -> int:
    """Pass our streams to a started command until it ends; return its exit code.

    Signals that we get are sent to the command. A second Ctrl-C cuts the connection, and the host
    ends the command. Call it in the main thread.
    """
    with forwarding({host: command.grant()}), not_stopped():
        return command.communicate()


def signal_there(host: SSHHost, grant: Grant, name: str) -> None:
    """Send a signal to the command of a grant, if it still runs."""
    try:
        host.signal(grant, name)
    except GenvxError:
        pass  # the command or the connection has ended: there is nothing to signal


@contextlib.contextmanager
def forwarding(grants: Mapping[SSHHost, Grant]) -> Iterator[None]:
    """Send the signals that we get to the commands of these grants; call it in the main thread.

    Raises:
        KeyboardInterrupt: on a second Ctrl-C.
    """
    interrupts = 0

    def forward(number: int, frame: FrameType | None) -> None:
        nonlocal interrupts
        if number == signal.SIGINT:
            interrupts += 1
            if interrupts > 1:
                raise KeyboardInterrupt
        # In a thread of its own: this one may be inside paramiko, holding a lock that the call
        # needs.
        name = signal.Signals(number).name.removeprefix("SIG")
        for host, grant in grants.items():
            threading.Thread(target=signal_there, args=(host, grant, name), daemon=True).start()

    before = {}
    # A signal that is ignored stays so: under nohup, SIGHUP must not reach the command either.
    for number in _FORWARDED:
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, forward)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
