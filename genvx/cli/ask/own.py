"""Which environment of their own a person means: by id, by name, or that of their shell."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from genvx.cli.ask.where import Where
    from genvx.core.lease import Environment
    from genvx.fleet.fleet import Fleet
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


def on_one_host(
    where: Where, fleet: Fleet[SSHHost], environment: str | None
) -> tuple[SSHHost, Environment]:
    """The environment that is named, and its host among those of `genvx remote`.

    Raises:
        InvalidInput: none is named. Otherwise as `genvx.fleet.own.there`.
    """
    from genvx.fleet.own import there

    if not environment:
        raise InvalidInput("name an environment of yours on the hosts with --id")
    return there(fleet, where.look(fleet), environment)
