"""What an entry leads into: an environment, or the only one of ours on a host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.cli.ask.where import Where
from genvx.core.text import printable
from genvx.errors import UnknownEnvironment
from genvx.fleet.own import matching, only

if TYPE_CHECKING:
    from genvx.core.leases.environment import Environment
    from genvx.fleet.fleet import Fleet
    from genvx.fleet.host import Host


def far(where: Where) -> Where:
    """Return the hosts of genvx remote, which is what entries are for, also without `remote`."""
    return where if where.remote else Where(remote=True)


def find(
    where: Where, fleet: Fleet, target: str, *, living: bool = False
) -> tuple[Host, Environment | None]:
    """Return the host that `target` names, and the environment if it names one.

    living: find an environment also for a host: the only one of ours there.

    A target that is both a host and an environment is the host.

    Raises:
        UnknownEnvironment: there is none.
    """
    seen = where.look(fleet)
    if target in seen.failed:
        raise seen.failed[target]
    is_host = target in seen.succeeded
    if is_host and not living:
        return fleet.host(target), None
    found = matching(
        fleet, seen, lambda host, env: host == target if is_host else target in (env.id, env.name)
    )
    if found:
        return only(found, target)
    if is_host:
        raise UnknownEnvironment(f"no active environment of yours on {target}")
    where.report(seen)
    raise UnknownEnvironment(
        f"{printable(target, 60)!r} is neither an environment of yours nor a host"
    )
