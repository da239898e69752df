"""Environments of one's own, as people name them: by id or by name, here and on many hosts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from genvx.core.text import printable
from genvx.errors import InvalidInput, UnknownEnvironment

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.cli.ask.where import Where
    from genvx.core.lease import Environment
    from genvx.core.snapshot import Snapshot
    from genvx.fleet.fleet import Fleet, Outcomes
    from genvx.fleet.host import Host
    from genvx.fleet.sshhost import SSHHost
    from genvx.local.host import LocalHost


def here(host: LocalHost, environment: str | None) -> str:
    """The id of the one that is named, or that of this shell.

    Raises:
        InvalidInput: none is named, and none is active here. UnknownEnvironment: there is none.
    """
    if environment is None:
        environment = os.environ.get("GENVX_ENVIRONMENT_ID", "")
        if not environment:
            raise InvalidInput("no environment is active in this shell; name one with --id")
        return environment
    return host.identify(environment)


def on_one_host(where: Where, fleet: Fleet, environment: str | None) -> tuple[SSHHost, Environment]:
    """The one that is named, and the only host of `genvx remote` that has it.

    Raises:
        InvalidInput: none is named. Otherwise as `there`.
    """
    from genvx.fleet.sshhost import SSHHost

    if not environment:
        raise InvalidInput("name an environment of yours on the hosts with --id")
    host, env = there(fleet, where.look(fleet), environment)
    assert isinstance(host, SSHHost)
    return host, env


def there(fleet: Fleet, seen: Outcomes[Snapshot], environment: str) -> tuple[Host, Environment]:
    """The only one of those that hosts have told of that has this id or name.

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
    fleet: Fleet, seen: Outcomes[Snapshot], wanted: Callable[[str, Environment], bool]
) -> list[tuple[Host, Environment]]:
    """Those of one's own that are wanted, by the name of their host and what they are.

    Whose they are is a question to the hosts: only these know who we are there.

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


def only(found: list[tuple[Host, Environment]], wanted: str) -> tuple[Host, Environment]:
    """The one that was found; UnknownEnvironment if several are meant."""
    if len(found) > 1:
        raise UnknownEnvironment(
            f"several environments of yours are meant by {printable(wanted, 60)!r}: "
            + ", ".join(f"{env.label} on {host.name}" for host, env in found)
        )
    return found[0]
