"""Which environment of their own the user means: by id or name, or that of their shell."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from genvx.cli.ask.where import Where
    from genvx.core.leases.environment import Environment
    from genvx.fleet.fleet import Fleet
    from genvx.fleet.sshhost import SSHHost
    from genvx.local.host import LocalHost


def here(host: LocalHost, environment: str | None) -> str:
    """Return the id of the environment that is named, or of this shell's.

    Raises:
        InvalidInput: none is named, and none is active here. UnknownEnvironment: there is none with
        this id or name.
    """
    if environment is None:
        environment = os.environ.get("GENVX_ENVIRONMENT_ID", "")
        if not environment:
            raise InvalidInput("no environment is active in this shell; name one with --id")
        # The variable has an id, so it is not looked up. If that environment has ended, the act
        # that follows says so.
        return environment
    return host.identify(environment)


def on_one_host(
    where: Where, fleet: Fleet[SSHHost], environment: str | None
) -> tuple[SSHHost, Environment]:
    """Find the environment that is named on the hosts of `genvx remote`; return host and
    environment.

    Raises:
        InvalidInput: none is named. Otherwise as `genvx.fleet.own.there`.
    """
    from genvx.fleet.own import there

    if not environment:
        raise InvalidInput("no environment is named; give the id or name of one with --id")
    return there(fleet, where.look(fleet), environment)


@contextlib.contextmanager
def meant(where: Where, environment: str | None) -> Iterator[tuple[LocalHost | SSHHost, str]]:
    """Yield the host of the environment that is meant, here or on the hosts, and its id.

    Raises: as `here` and `on_one_host`.
    """
    if not where.remote:
        from genvx.local.host import LocalHost

        host = LocalHost()
        yield host, here(host, environment)
        return
    with where.remote_fleet() as fleet:
        there, env = on_one_host(where, fleet, environment)
        yield there, env.id
