"""Environments of one's own on the hosts of a fleet, as people name them: by id or by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.text import printable
from genvx.errors import UnknownEnvironment

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.core.lease import Environment
    from genvx.core.snapshot import Snapshot
    from genvx.fleet.ask import H, HostGroup, Outcomes


def there(fleet: HostGroup[H], seen: Outcomes[Snapshot], environment: str) -> tuple[H, Environment]:
    """The environment with this id or name, and its host.

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
    """Our environments that are wanted, each with its host.

    wanted: asked with the name of the host and the environment. Only the hosts know who we are
    there, so each that has a candidate is asked for our name.

    Raises:
        FleetError: no host answered.
    """
    if not seen.succeeded:
        raise fleet.nowhere({}, seen.failed)
    found = []
    for name, snapshot in seen.succeeded.items():
        candidates = [env for env in snapshot.environments if wanted(name, env)]
        if candidates:
            host = fleet.host(name)
            user = host.entitlement().user
            found += [(host, env) for env in candidates if env.owner.name == user]
    return found


def only(found: list[tuple[H, Environment]], wanted: str) -> tuple[H, Environment]:
    """The one that was found; raise UnknownEnvironment if there are several."""
    if len(found) > 1:
        raise UnknownEnvironment(
            f"several environments of yours are meant by {printable(wanted, 60)!r}: "
            + ", ".join(f"{env.label} on {host.name}" for host, env in found)
        )
    return found[0]
