"""genvx runs stop: end runs, by name or all that are alive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from genvx.cli.ask.runs import WHICH, not_empty
from genvx.cli.ask.where import Where, here
from genvx.cli.verbs.runs.several import Several, places
from genvx.core.quantities.durations import parse_duration
from genvx.core.runs.runselect import Filter
from genvx.core.runs.runstate import LIVE, is_over, name_of
from genvx.core.wire.runoperations import MOST_RUNS, ListRuns, StopRun
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from genvx.core.runs.runinfo import RunInfo
    from genvx.fleet.fleet import Fleet

Which = Annotated[
    list[str] | None,
    typer.Argument(metavar="[RUN...]", help=WHICH, show_default=False, callback=not_empty),
]
All = Annotated[bool, typer.Option("--all", help="All runs of yours that are alive.")]
Tags = Annotated[
    list[str] | None,
    typer.Option(
        "--tag", metavar="TAG", help="All that are alive and have this tag, or all these."
    ),
]
Grace = Annotated[
    str | None,
    typer.Option("--grace", metavar="TIME", help="Between SIGTERM and SIGKILL; 10s by default."),
]
Force = Annotated[bool, typer.Option("--force", help="SIGKILL at once.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not wait for the end.")]


def stop(
    context: typer.Context,
    run: Which = None,
    everything: All = False,
    tag: Tags = None,
    grace: Grace = None,
    force: Force = False,
    no_wait: NoWait = False,
) -> None:
    """End runs, with all the processes that they have started; their GPUs are free then.

    Without RUN, --all or --tag says which.

    Example: genvx runs stop 1
    """
    from genvx.fleet.detaching import runs

    if [bool(run), everything, bool(tag)].count(True) != 1:
        raise InvalidInput("say which runs: give RUN, --all or --tag TAG, one of them")
    where = here(context)
    seconds = None if grace is None else parse_duration(grace)
    several = Several(where)
    code = 0
    with where.fleet() as fleet:
        if run:
            found = places(where, fleet, run)
        else:
            found, code = _alive(where, fleet, tuple(tag or ()))
        # All are told before the end of one is awaited: they end at the same time then.
        told = []
        for host, each in found:
            before = several.attempt(host, host.answer, StopRun(each.id, seconds, force))
            if before is not None:
                # The parts of a gang end with the first that is told, maybe before they are.
                told.append((host, before if each.spec.part is None else each))
        for host, before in told:
            if is_over(before.state):
                word = name_of(before.state)
                several.done(host, f"Run {before.label_or_id} has ended already ({word})")
            elif no_wait:
                several.done(host, f"Stopping run {before.label_or_id}")
            elif several.attempt(host, runs.ended, host, before.id):
                several.done(host, f"Stopped run {before.label_or_id}")
    raise typer.Exit(several.code or code)


def _alive(
    where: Where, fleet: Fleet, tags: tuple[str, ...]
) -> tuple[list[tuple[Any, RunInfo]], int]:
    """The runs that are alive, and the exit code for the hosts that did not answer."""
    asked = ListRuns(Filter(LIVE, tags), MOST_RUNS)
    outcomes = where.ask(fleet, lambda host: host.answer(asked))
    code = where.report(outcomes)
    found = [(fleet.host(name), run) for name, runs in outcomes.succeeded.items() for run in runs]
    if not found and outcomes.succeeded:
        where.note("no run of yours is alive" + (f" with tag {', '.join(tags)}" if tags else ""))
    return found, code
