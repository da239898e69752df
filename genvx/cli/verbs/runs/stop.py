"""genvx runs stop: end runs, by name or all that are alive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from genvx.cli.ask import options
from genvx.cli.ask.runs import WHICH, Unasked, not_empty
from genvx.cli.ask.where import Where, here
from genvx.cli.parse.declaring import Argument, Context, Exit, Option
from genvx.cli.verbs.runs.several import Several, places
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from genvx.core.runs.runinfo import RunInfo
    from genvx.fleet.fleet import Fleet
    from genvx.fleet.outcomes import Outcomes

Which = Annotated[
    list[str] | None,
    Argument(metavar="[RUN...]", help=WHICH, show_default=False, check=not_empty),
]
All = Annotated[bool, Option("--all", help="All runs of yours that are alive.")]
Tags = Annotated[
    list[str] | None,
    Option("--tag", metavar="TAG", help="All that are alive and have this tag, or all these."),
]
Grace = Annotated[
    str | None,
    Option("--grace", metavar="TIME", help="Between SIGTERM and SIGKILL; 10s by default."),
]
Force = Annotated[bool, Option("--force", help="SIGKILL at once.")]
NoWait = Annotated[bool, Option("--no-wait", help="Do not wait for the end.")]


def stop(
    context: Context,
    run: Which = None,
    everything: All = False,
    tag: Tags = None,
    grace: Grace = None,
    force: Force = False,
    no_wait: NoWait = False,
    yes: Unasked = False,
    json: options.Json = False,
) -> None:
    """End runs, with all the processes that they have started; their GPUs are free then.

    Without RUN, --all or --tag says which.

    Example: genvx runs stop 1
    """
    from genvx.core.quantities.durations import parse_duration
    from genvx.core.quantities.naming import naming
    from genvx.core.runs.runstate import is_over, name_of
    from genvx.core.wire.runoperations import StopRun
    from genvx.fleet.detaching import runs

    if [bool(run), everything, bool(tag)].count(True) != 1:
        raise InvalidInput("say which runs: give RUN, --all or --tag TAG, one of them")
    where = here(context)
    with naming("--grace"):
        seconds = None if grace is None else parse_duration(grace)
    several = Several(where, json=json)
    code, failed = 0, None
    with where.fleet() as fleet:
        if run:
            found = places(where, fleet, run, others=True)
        else:
            seen = _alive(where, fleet, tuple(tag or ()))
            code, failed = where.report(seen), seen.failed
            found = [(fleet.host(name), one) for name, got in seen.succeeded.items() for one in got]
        # All are told before the end of one is awaited: they end at the same time then.
        told = []
        for host, each in found:
            before = several.attempt(host, each, host.answer, StopRun(each.id, seconds, force))
            if before is not None:
                # The parts of a gang end with the first that is told, maybe before they are.
                told.append((host, before if each.spec.part is None else each))
        for host, before in told:
            if is_over(before.state):
                line = f"Run {before.label_or_id} has ended already ({name_of(before.state)})"
                several.done(host, before, "nothing", line)
            elif no_wait:
                several.done(host, before, "stopping", f"Stopping run {before.label_or_id}")
            else:
                after = several.attempt(host, before, runs.ended, host, before)
                if after is not None:
                    several.done(host, after, "stopped", f"Stopped run {before.label_or_id}")
    several.finish("runs stop", failed)
    raise Exit(several.code or code)


def _alive(where: Where, fleet: Fleet, tags: tuple[str, ...]) -> Outcomes[tuple[RunInfo, ...]]:
    """The runs that are alive, and the hosts that did not answer."""
    from genvx.core.runs.runselect import Filter
    from genvx.core.runs.runstate import LIVE
    from genvx.core.wire.runoperations import MOST_RUNS, ListRuns

    asked = ListRuns(Filter(LIVE, tags), MOST_RUNS)
    outcomes = where.ask(fleet, lambda host: host.answer(asked))
    if outcomes.succeeded and not any(outcomes.succeeded.values()):
        where.note("no run of yours is alive" + (f" with tag {', '.join(tags)}" if tags else ""))
    return outcomes
