"""Taking devices on the best host of a fleet and running a command on them.

`genvx remote activate` and `genvx remote run` call these functions, and any program can.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.requests.ask import Ask, Join
from genvx.errors import Unsatisfiable
from genvx.fleet import own
from genvx.fleet.terminals.forwarding import forwarding
from genvx.fleet.terminals.stdin import not_stopped

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.core.line.standing import Standing
    from genvx.core.requests.ask import Wanted
    from genvx.core.snapshot import Snapshot
    from genvx.core.wire.job import Job
    from genvx.fleet.ask import HostGroup
    from genvx.fleet.outcomes import Outcomes
    from genvx.fleet.remotehold import RemoteHold, Started
    from genvx.fleet.sshhost import SSHHost


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
        # Imported here: most requests do not wait.
        from genvx.fleet.line import wait_for_room

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
        return home, _joined(home, Join(env.id, wanted.command), job)
    ask: Ask = wanted
    if ask.patience is not None:
        host, held = hold(fleet, ask, seen, tell=tell)
        with held:
            # The command joins our environment. It holds the devices by itself once we let go.
            return host, _joined(host, Join(held.environment_id, ask.command), job)

    def act(host: SSHHost) -> tuple[SSHHost, Started]:
        return host, host.start(ask, job)

    return fleet.first_with_room(ask.requirements, act, seen)


def _joined(host: SSHHost, wanted: Join, job: Job) -> Started:
    try:
        return host.start(wanted, job)
    except Unsatisfiable as error:  # it has no runtime for the container of the job
        raise Unsatisfiable(f"{host.name}: {error}") from None


def stream(host: SSHHost, command: Started) -> int:
    """Pass our streams to a started command until it ends; return its exit code.

    Signals that we get are sent to the command. A second Ctrl-C cuts the connection, and the host
    ends the command. Call it in the main thread.
    """
    with forwarding({host: command.grant()}), not_stopped():
        return command.communicate()
