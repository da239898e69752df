"""What an entry leads into: a run, an environment, or the only environment of ours on a host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genvx.cli.ask.runs import part_of
from genvx.cli.ask.where import Where
from genvx.core.runs.runstate import was_moved
from genvx.core.text import printable
from genvx.core.value import value
from genvx.errors import (
    FleetError,
    HostError,
    NotOwner,
    UnknownEnvironment,
    UnknownRun,
)
from genvx.fleet.detaching import runs
from genvx.fleet.outcomes import Outcomes
from genvx.fleet.own import matching, only

if TYPE_CHECKING:
    from genvx.core.leases.environment import Environment
    from genvx.core.runs.runinfo import RunInfo
    from genvx.fleet.fleet import Fleet
    from genvx.fleet.host import Host
    from genvx.fleet.sshhost import SSHHost


@value
class Goal:
    """What an entry leads into, and its host. With neither an environment nor a run, it is the only
    environment of ours that is there when somebody connects.
    """

    host: SSHHost
    environment: Environment | None = None
    run: RunInfo | None = None


def far(where: Where) -> Where:
    """Return the hosts of genvx remote, also if `remote` was not typed: entries are for these."""
    return where if where.remote else Where(remote=True)


def find(where: Where, fleet: Fleet[SSHHost], target: str, node: int | None = None) -> Goal:
    """Return what a word means: a host comes before an environment, and an environment before a
    run; a live run is an environment, too.

    node: the part of a run on several hosts; its first by default.

    Raises:
        InvalidInput: it is none of them, or there are several, or the run has no such node.
        NotOwner: it is another user's run.
    """
    if target in (host.name for host in fleet.hosts):
        return Goal(fleet.host(target))
    runs_of = runs.question(target)

    def look(host: Host) -> tuple[Any, tuple[RunInfo, ...]]:
        return host.snapshot(), runs_of(host)

    seen = where.find(fleet, look)
    for error in seen.failed.values():
        if isinstance(error, NotOwner):
            raise error
    found = Outcomes({name: both[1] for name, both in seen.succeeded.items()}, seen.failed)
    known = {(name, run.id) for name, both in seen.succeeded.items() for run in both[1]}
    snapshots = Outcomes({name: both[0] for name, both in seen.succeeded.items()}, seen.failed)
    envs = matching(fleet, snapshots, lambda host, env: target in (env.id, env.name))
    if len({env.id for _, env in envs}) > 1 or any(
        (host.name, env.id) not in known for host, env in envs
    ):
        return Goal(*only(envs, target))
    try:
        # The parts of a run on several hosts are environments with its id.
        parts = runs.locate_parts(fleet, found, envs[0][1].id if envs else target)
    except UnknownRun as error:
        if any(found.succeeded.values()):
            raise  # several runs may be meant
        where.report(seen)
        shown = printable(target, 60)
        raise UnknownEnvironment(
            f"{shown!r} is no host, and no environment or run of yours"
        ) from error
    host, run = part_of(parts, node)
    # Root is shown the living runs of others, too, but enters none of them.
    for env in snapshots.succeeded[host.name].environments:
        if env.id == run.id and env.owner.name != host.entitlement().user:
            raise NotOwner(f"run {run.id} is {env.owner}'s")
    return Goal(host, run=run)


def environment_on(fleet: Fleet[SSHHost], host: SSHHost) -> Environment:
    """Return the only environment of ours on a host.

    Raises:
        UnknownEnvironment: there is none, or there are several. HostError: it cannot be asked.
    """
    seen = Outcomes({host.name: host.snapshot()}, {})
    found = matching(fleet, seen, lambda name, env: True)
    if not found:
        raise UnknownEnvironment(f"no active environment of yours on {host.name}")
    return only(found, host.name)[1]


def run_on(
    where: Where, fleet: Fleet[SSHHost], name: str, identifier: str, node: int
) -> tuple[SSHHost, RunInfo]:
    """Return where a run is now. name: its host when its entry was written, which is asked alone
    first: others may be slow or down.

    Raises:
        UnknownRun: there is none. FleetError: its host does not answer.
    """
    question = runs.question(identifier)
    failure = None
    if name in (host.name for host in fleet.hosts):
        host = fleet.host(name)
        try:
            for run in question(host):
                if run.id == identifier and run.rank == node and not was_moved(run.state):
                    return host, run
        except HostError as error:
            failure = FleetError(f"{name}: {error}")
    try:
        return part_of(runs.locate_parts(fleet, where.find(fleet, question), identifier), node)
    except (UnknownRun, FleetError):
        if failure is not None:
            raise failure from None
        raise
