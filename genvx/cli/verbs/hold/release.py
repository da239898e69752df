"""genvx release: end one of your environments."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Annotated

import typer

from genvx.cli.ask import candidates, options
from genvx.cli.ask.where import here
from genvx.cli.show import schema
from genvx.cli.show.tables import SCHEMA, print_json
from genvx.core.runstate import end_of
from genvx.core.text import printable
from genvx.core.value import replace
from genvx.core.wire.runoperations import FindRuns
from genvx.errors import GenvxError, UnknownEnvironment
from genvx.shown import holding

if TYPE_CHECKING:
    from genvx.core.lease import Environment
    from genvx.core.snapshot import Snapshot
    from genvx.fleet.host import Host

Target = Annotated[
    str,
    typer.Argument(
        metavar="ENV",
        help="Environment id or name.",
        autocompletion=candidates.environments,
    ),
]


Kill = Annotated[
    bool, typer.Option("--kill", help="Also end its processes: TERM, and KILL after 10 s.")
]


def release(
    context: typer.Context, environment: Target, kill: Kill = False, json: options.Json = False
) -> None:
    """End one of your environments, by id or name.

    Its processes go on, unless --kill is given; a shell that was activated in place always does.
    Root can end anybody's; the owner gets a message on their terminals.

    Example: genvx release 15ab02cd
    """
    if kill:
        # Our own shell may be among the processes. Its end hangs up the terminal, and we must
        # still end the others.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    where = here(context)
    with where.fleet() as fleet:
        outcomes = where.ask(fleet, lambda host: host.snapshot(holders=not kill))
        candidates = [
            name
            for name, snapshot in outcomes.succeeded.items()
            if any(environment in (env.id, env.name) for env in snapshot.environments)
        ]
        if not outcomes.succeeded:
            raise fleet.nowhere({}, outcomes.failed)
        # An empty text would match each environment that has no name.
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
        # The holders are those of the snapshot: with the lease gone, nothing says any more which
        # processes held it. With --kill the host itself says which processes go on.
        host = fleet.host(candidates[0])
        ended = host.release(environment, kill=kill)
        living = ended if kill else _as_seen(outcomes.succeeded[candidates[0]], ended)
        if living.holders and _command_has_ended(host, ended):
            living = replace(living, holders=())
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
                                "user": schema.user(ended.owner),
                                "devices": list(ended.devices),
                                "pids": [each.pid for each in living.holders or ()],
                            },
                        }
                    ],
                }
            )
        else:
            place = f" on {candidates[0]}" if where.remote else ""
            count = len(ended.devices)
            print(f"Released {ended.label}{place}: {count} device{'' if count == 1 else 's'}")
            if living.holders:
                where.note(f"these processes go on: {holding.in_line(living)}")
        raise typer.Exit(where.report(outcomes))


def _command_has_ended(host: Host, ended: Environment) -> bool:
    """Whether it was a run that only kept its GPUs (--hold): its supervisor ends now, too."""
    try:
        runs = host.answer(FindRuns(ended.id))
    except GenvxError:
        return False  # another user's
    return any(run.id == ended.id and end_of(run.state) is not None for run in runs)


def _as_seen(snapshot: Snapshot, ended: Environment) -> Environment:
    """Return an environment as the snapshot shows it before its end, with its holders."""
    key = (ended.owner.uid, ended.id)
    known = (env for env in snapshot.environments if (env.owner.uid, env.id) == key)
    return next(known, ended)
