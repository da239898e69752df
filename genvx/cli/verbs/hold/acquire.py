"""genvx acquire: hold GPUs for a time, without a shell or a command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from genvx.cli.ask import options
from genvx.cli.ask.request import Request
from genvx.cli.ask.requesting import requesting
from genvx.cli.ask.where import here
from genvx.cli.parse.declaring import Context, Option
from genvx.core.quantities.ages import format_duration
from genvx.core.quantities.durations import parse_duration
from genvx.core.quantities.naming import naming
from genvx.shown.console import say

if TYPE_CHECKING:
    from genvx.core.leases.grant import Grant
    from genvx.fleet.host import Host

For = Annotated[str, Option("--for", metavar="TIME", help="Time to hold them, such as 2h.")]


@requesting("wait", "time", "id")
def acquire(
    context: Context,
    request: Request,
    for_: For,
    json: options.Json = False,
) -> None:
    """Hold GPUs for a time, without a shell.

    genvx activate --id ENV uses them, genvx release ENV gives them back early.

    Example: genvx acquire --gpus 1 --for 2h
    """
    from genvx.cli.schema.document import print_document
    from genvx.cli.schema.environments import plain_grant
    from genvx.core.requests.ranges import ranges
    from genvx.core.value import replace

    where = here(context)
    with naming("--for"):
        seconds = parse_duration(for_)

    def act(host: Host) -> tuple[str, Grant]:
        return host.name, host.reserve(replace(request.ask("acquire"), lasts=seconds))

    # This machine decides by itself; only among several hosts is a snapshot needed to choose.
    with where.fleet(request.selection) as fleet:
        host, grant = (
            fleet.first_with_room(
                request.requirements, act, where.look(fleet, request.requirements)
            )
            if where.remote
            else act(fleet.hosts[0])
        )
    for note in grant.notes:
        say(f"genvx: {note}")
    if json:
        if where.remote:
            where.landed(host, grant)
        print_document("acquire", hosts=[{"host": host, "ok": True, **plain_grant(grant)}])
        return
    place = f" on {host}" if where.remote else ""
    devices = ranges(device.label for device in grant.devices) or "none"
    print(f"environment  {grant.environment_id}{place}")
    print(f"GPUs         {devices}, for {format_duration(grant.seconds or seconds)}")
    print(f"use          {where.typed} activate --id {grant.environment_id}")
    print(f"give back    {where.typed} release {grant.environment_id}")
