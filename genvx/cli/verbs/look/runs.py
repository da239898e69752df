"""genvx runs: what became of runs, and what can be done to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from genvx.cli.ask import options
from genvx.cli.ask.runs import OneRun, Runs, located
from genvx.cli.ask.where import Where, here
from genvx.cli.parse.groups import group
from genvx.cli.show.output import Output
from genvx.core.durations import parse_duration
from genvx.core.runselect import Filter
from genvx.core.wire.runoperations import (
    MOST_RUNS,
    Disposal,
    DisposeOfRun,
    ListRuns,
    MarkRun,
    ShowRun,
    StopRun,
)
from genvx.errors import GenvxError, InvalidInput, kind_of
from genvx.shown.console import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.cli.parse.commands import Group, Verb
    from genvx.core.runinfo import RunInfo
    from genvx.core.wire.operation import Operation

_NEWEST = 50

All = Annotated[bool, typer.Option("-a", "--all", help=f"More than the newest {_NEWEST}.")]
States = Annotated[
    list[str] | None,
    typer.Option("-s", "--state", metavar="STATE", help="Only in this state, or one of these."),
]
Tags = Annotated[
    list[str] | None, typer.Option("--tag", metavar="TAG", help="Only with this tag, or all these.")
]
OfName = Annotated[
    str | None, typer.Option("-n", "--name", metavar="NAME", help="Only of this name or label.")
]
Since = Annotated[
    str | None,
    typer.Option("--since", metavar="TIME", help="Only those submitted within this time (7d)."),
]
Deleted = Annotated[bool, typer.Option("--deleted", help="Those in the trash instead.")]
Grace = Annotated[
    str | None,
    typer.Option("--grace", metavar="TIME", help="Between SIGTERM and SIGKILL; 10s by default."),
]
Force = Annotated[bool, typer.Option("--force", help="SIGKILL at once.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not wait for the end.")]
Label = Annotated[str, typer.Argument(metavar="LABEL", help="Another name; '' removes it.")]
NewTags = Annotated[
    list[str], typer.Argument(metavar="TAG...", help="A tag; -TAG removes one, after --.")
]
InfoLines = Annotated[
    int, typer.Option("--lines", metavar="LINES", min=0, max=1000, help="Of the end of its log.")
]


def _runs(
    context: typer.Context,
    everything: All = False,
    state: States = None,
    tag: Tags = None,
    name: OfName = None,
    since: Since = None,
    deleted: Deleted = False,
    json: options.Json = False,
    csv: options.Csv = False,
    style: options.Style = None,
    no_header: options.NoHeader = False,
    no_summary: options.NoSummary = False,
    timestamp: options.Timestamp = False,
    redraw: options.Watch = False,
    interval: options.Interval = 2.0,
) -> None:
    """Show runs, the newest first: commands that were started with genvx run --detach.

    Example: genvx remote runs -s running
    """
    if context.invoked_subcommand is not None:
        return
    from genvx.cli.show.watch import watch
    from genvx.cli.views import runs as view

    where = here(context)
    narrowed = Filter(tuple(state or ()), tuple(tag or ()), name, _since_epoch_ns(since))
    asked = ListRuns(narrowed, MOST_RUNS if everything else _NEWEST, deleted)
    output = Output(json, csv, not no_header, not no_summary, timestamp=timestamp, style=style)
    with where.fleet() as fleet:
        if redraw:
            raise typer.Exit(watch(interval, lambda: view.show(where, fleet, asked, output)))
        raise typer.Exit(view.show(where, fleet, asked, output))


def _since_epoch_ns(text: str | None) -> int | None:
    if text is None:
        return None
    import time

    return time.time_ns() - round(parse_duration(text) * 1e9)  # as people mean it


def info(
    context: typer.Context, run: OneRun = "", lines: InfoLines = 10, json: options.Json = False
) -> None:
    """Show a run: what was asked, what became of it, where it is, and the end of its log.

    Example: genvx runs info 1
    """
    from genvx.cli.views import runs as view

    where = here(context)
    with where.fleet() as fleet:
        host, found = located(where, fleet, run)
        details = host.answer(ShowRun(found.id, lines))
        view.show_one(where, host.name, details, json=json)


def stop(
    context: typer.Context,
    run: Runs,
    grace: Grace = None,
    force: Force = False,
    no_wait: NoWait = False,
) -> None:
    """End runs, with all the processes that they have started; their GPUs are free then.

    Example: genvx runs stop 1
    """
    from genvx.cli.views import runs as view

    where = here(context)
    seconds = None if grace is None else parse_duration(grace)

    def act(host: Any, found: RunInfo) -> str:
        before = host.answer(StopRun(found.id, seconds, force))
        return view.ended(host, before, wait=not no_wait)

    raise typer.Exit(_each(where, run, act))


def _each(
    where: Where, wanted: list[str], act: Callable[[Any, RunInfo], str], *, deleted: bool = False
) -> int:
    """Do something to each of several runs, and print what became of it; return the exit code of
    the first that failed, once all were tried.
    """
    code = 0
    with where.fleet() as fleet:
        # Before the first is touched: a number means another run when one is gone.
        places = [located(where, fleet, each, deleted=deleted) for each in wanted]
        for host, found in places:
            try:
                line = act(host, found)
            except GenvxError as error:
                head = f"{host.name}: {kind_of(error)}" if where.remote else "genvx"
                say(f"{head}: {error}")
                code = code or error.exit_code
            else:
                print(f"{line} on {host.name}" if where.remote else line)
    return code


def _all(
    context: typer.Context,
    wanted: list[str],
    ask: Callable[[RunInfo], Operation[RunInfo]],
    did: str,
    *,
    deleted: bool = False,
) -> None:
    def act(host: Any, found: RunInfo) -> str:
        run: RunInfo = host.answer(ask(found))
        return f"{did} run {run.label_or_id}"

    raise typer.Exit(_each(here(context), wanted, act, deleted=deleted))


def _dispose(context: typer.Context, wanted: list[str], how: Disposal, did: str) -> None:
    deleted = how is not Disposal.DELETE
    _all(context, wanted, lambda found: DisposeOfRun(found.id, how), did, deleted=deleted)


def delete(context: typer.Context, run: Runs) -> None:
    """Move runs that are over into the trash.

    Example: genvx runs delete 2
    """
    _dispose(context, run, Disposal.DELETE, "Deleted")


def restore(context: typer.Context, run: Runs) -> None:
    """Take runs out of the trash.

    Example: genvx runs restore 15ab02cd
    """
    _all(
        context,
        run,
        lambda found: DisposeOfRun(found.id, Disposal.RESTORE),
        "Restored",
        deleted=True,
    )


def purge(context: typer.Context, run: Runs) -> None:
    """Delete runs in the trash for good; this frees the disk.

    Example: genvx runs purge 15ab02cd
    """
    _dispose(context, run, Disposal.PURGE, "Purged")


def label(context: typer.Context, run: OneRun, text: Label) -> None:
    """Give a run another name, by which it is found.

    Example: genvx runs label 1 best
    """
    _all(context, [run], lambda found: MarkRun(found.id, text), "Labelled")


def tag(context: typer.Context, run: OneRun, tags: NewTags) -> None:
    """Add tags to a run, or remove some.

    Example: genvx runs tag 1 baseline
    """
    if not tags:
        raise InvalidInput("no tag is given")
    add = tuple(each for each in tags if not each.startswith("-"))
    remove = tuple(each[1:] for each in tags if each.startswith("-"))
    _all(context, [run], lambda found: MarkRun(found.id, None, add, remove), "Tagged")


def runs(kind: type[Group], verb: type[Verb]) -> typer.Typer:
    """The group of verbs, of these classes."""
    made = group(
        "Runs: commands that go on without us (genvx run --detach).",
        kind,
        invoke_without_command=True,
    )
    made.callback()(_runs)
    for each in (info, stop, label, tag, delete, restore, purge):
        made.command(cls=verb)(each)
    return made
