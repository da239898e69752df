"""genvx release: end one of your environments."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Annotated

from genvx.cli.ask import candidates, options
from genvx.cli.ask.where import here
from genvx.cli.parse.declaring import Argument, Context, Exit, Option
from genvx.core.text import printable
from genvx.core.value import replace
from genvx.errors import GenvxError, UnknownEnvironment

if TYPE_CHECKING:
    from genvx.core.leases.environment import Environment
    from genvx.core.snapshot import Snapshot
    from genvx.fleet.host import Host

Target = Annotated[
    str,
    Argument(
        metavar="ENV",
        help="Environment id or name.",
        autocompletion=candidates.environments,
    ),
]


Kill = Annotated[bool, Option("--kill", help="Also end its processes: TERM, and KILL after 10 s.")]


def release(
    context: Context, environment: Target, kill: Kill = False, json: options.Json = False
) -> None:
    """End one of your environments, by id or name.

    Its processes go on, unless --kill is given; a shell that was activated in place always does.
    Root can end anybody's; the owner gets a message on their terminals.

    Example: genvx release 15ab02cd
    """
    from genvx.cli.views.release import document, show

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
        # The parts of a run on several hosts have one id.
        exact = all(
            any(environment == env.id for env in outcomes.succeeded[name].environments)
            for name in candidates
        )
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
        if len(candidates) > 1 and not exact:
            raise UnknownEnvironment(
                f"several hosts have an environment {printable(environment, 60)!r}: "
                f"{', '.join(candidates)}; give its id, or one host with -H"
            )
        released = []
        for name in candidates:
            host = fleet.host(name)
            ended = host.release(environment, kill=kill)
            # The holders are those of the snapshot: with the lease gone, nothing says any more
            # which processes held it. With --kill the host itself says which processes go on.
            living = ended if kill else _as_seen(outcomes.succeeded[name], ended)
            if living.holders and _command_has_ended(host, ended):
                living = replace(living, holders=())
            released.append((name, ended, living))
            if not json:
                show(where, name, ended, living)
        if json:
            document(released)
        raise Exit(where.report(outcomes))


def _command_has_ended(host: Host, ended: Environment) -> bool:
    """Whether it was a run that only kept its GPUs (--hold): its supervisor ends now, too."""
    from genvx.core.runs.runstate import end_of
    from genvx.core.wire.runoperations import FindRuns

    try:
        runs = host.answer(FindRuns(ended.id, others=True))
    except GenvxError:
        return False  # another user's
    return any(run.id == ended.id and end_of(run.state) is not None for run in runs)


def _as_seen(snapshot: Snapshot, ended: Environment) -> Environment:
    """Return an environment as the snapshot shows it before its end, with its holders."""
    key = (ended.owner.uid, ended.id)
    known = (env for env in snapshot.environments if (env.owner.uid, env.id) == key)
    return next(known, ended)
