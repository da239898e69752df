"""genvx release: end an environment of one's own."""

from __future__ import annotations

from typing import Annotated

import typer

from genvx.cli import candidates, options, plain
from genvx.cli.tables import SCHEMA, print_json
from genvx.cli.where import here
from genvx.core.text import printable
from genvx.errors import UnknownEnvironment

Target = Annotated[
    str,
    typer.Argument(
        metavar="ENV",
        help="The id of an environment, or its name.",
        autocompletion=candidates.environments,
    ),
]


def release(context: typer.Context, environment: Target, json: options.Json = False) -> None:
    """End an environment of one's own, by id or name.

    Its processes are left alone. Root can end anybody's.

    Example: genvx release 15ab02cd
    """
    where = here(context)
    with where.fleet() as fleet:
        outcomes = where.ask(fleet, lambda host: host.snapshot())
        candidates = [
            name
            for name, snapshot in outcomes.succeeded.items()
            if any(environment in (env.id, env.name) for env in snapshot.environments)
        ]
        if not outcomes.succeeded:
            raise fleet.nowhere({}, outcomes.failed)
        if not environment or not candidates:
            code = where.report(outcomes)
            place = "on any host" if where.remote else "here"
            raise UnknownEnvironment(
                f"no active environment {printable(environment, 60)!r} {place}"
                + (" that answered" if code else "")
            )
        if len(candidates) > 1:
            raise UnknownEnvironment(
                f"several hosts have an environment {printable(environment, 60)!r}: "
                f"{', '.join(candidates)}; give its id, or one host with -H"
            )
        ended = fleet.host(candidates[0]).release(environment)
        if json:
            print_json(
                {
                    "schema": SCHEMA,
                    "verb": "release",
                    "hosts": [
                        {
                            "host": candidates[0],
                            "ok": True,
                            "released": {
                                "id": ended.id,
                                "name": ended.name,
                                "user": plain.user(ended.owner),
                                "devices": list(ended.devices),
                            },
                        }
                    ],
                }
            )
        else:
            place = f" on {candidates[0]}" if where.remote else ""
            count = len(ended.devices)
            print(f"Released {ended.label}{place}: {count} device{'' if count == 1 else 's'}")
        raise typer.Exit(where.report(outcomes))
