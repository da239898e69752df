"""Finding one's own environments on the hosts of a fleet, by id or name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.text import printable
from genvx.errors import UnknownEnvironment

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.core.leases.environment import Environment
    from genvx.core.snapshot import Snapshot
    from genvx.fleet.ask import H, HostGroup
    from genvx.fleet.outcomes import Outcomes


def there(fleet: HostGroup[H], seen: Outcomes[Snapshot], environment: str) -> tuple[H, Environment]:
    """Find the own environment with this id or name; return its host and the environment.

    seen: snapshots of the hosts.

    Raises:
        UnknownEnvironment: there is none, or there are several. FleetError: no host answered.
    """
    found = matching(fleet, seen, lambda host, env: environment in (env.id, env.name))
    if not found:
        failed = f"; {len(seen.failed)} hosts did not answer" if seen.failed else ""
        raise UnknownEnvironment(
            f"no active environment {printable(environment, 60)!r} of yours on the hosts{failed}"
        )
    return only(found, environment)


def matching(
    fleet: HostGroup[H], seen: Outcomes[Snapshot], wanted: Callable[[str, Environment], bool]
) -> list[tuple[H, Environment]]:
    """Find those of our environments for which `wanted` is true; return each with its host.

    seen: snapshots of the hosts. wanted: called with the name of a host and an environment.

    Raises:
        FleetError: no host answered.
    """
    if not seen.succeeded:
        raise fleet.nowhere({}, seen.failed)
    found = []
    for name, snapshot in seen.succeeded.items():
        candidates = [env for env in snapshot.environments if wanted(name, env)]
        # Only the host knows as whom we are logged in there (ssh_config may say it), so each host
        # with a candidate is asked.
        if candidates:
            host = fleet.host(name)
            user = host.entitlement().user
            found += [(host, env) for env in candidates if env.owner.name == user]
    return found


def only(found: list[tuple[H, Environment]], wanted: str) -> tuple[H, Environment]:
    """Return the only one that was found; raise UnknownEnvironment if there are several.

    wanted: what the user typed, for the message.
    """
    if len(found) > 1:
        raise UnknownEnvironment(
            f"{printable(wanted, 60)!r} matches several environments of yours: "
            + ", ".join(f"{env.label} on {host.name}" for host, env in found)
        )
    return found[0]
