"""genvx remote ssh-proxy: the ProxyCommand of an entry that genvx ssh-config prints."""

from __future__ import annotations

from typing import Annotated

from genvx.cli.ask.where import here
from genvx.cli.parse.declaring import Argument, Context, Exit, Option
from genvx.core.value import replace
from genvx.errors import FleetError, HostError


def ssh_proxy(
    context: Context,
    host: Annotated[str, Argument()],
    environment: Annotated[str, Argument()] = "",
    run: Annotated[str, Option("--run")] = "",
    node: Annotated[int, Option("--node")] = 0,
) -> None:
    """Connect stdin and stdout to an environment or a run: the ProxyCommand of an entry."""
    from genvx.cli.entries.files import key
    from genvx.cli.entries.target import environment_on, far, run_on
    from genvx.core.runs.entry import require_entry
    from genvx.core.wire.ongoing import ServeSSH
    from genvx.fleet import running

    # Quiet: our stderr is that of ssh and scp, whose users do not expect messages of genvx.
    where = replace(far(here(context)), quiet=True)
    public = key().with_suffix(".pub").read_text("ascii").strip()
    with where.remote_fleet() as fleet:
        if run:
            place, found = run_on(where, fleet, host, run, node)
            require_entry(found)
        else:
            place = fleet.host(host)
        try:
            if not run and not environment:
                environment = environment_on(fleet, place).id
            served = place.begin(ServeSSH(run or environment, public, bool(run)))
        except HostError as error:
            raise FleetError(f"{host}: {error}") from None
        raise Exit(running.stream(place, served))
