"""genvx watch and genvx logs: the output of a run."""

from __future__ import annotations

from typing import Annotated

from genvx.cli.ask.runs import Node, OneRun, located_parts, part_of
from genvx.cli.ask.where import here
from genvx.cli.parse.declaring import Context, Exit, Option
from genvx.core.runs.runselect import MOST_LINES
from genvx.errors import InvalidInput

Lines = Annotated[
    int | None,
    Option(
        "-n",
        "--lines",
        metavar="LINES",
        min=0,
        max=MOST_LINES,
        help="Show only this many of the last lines first (default: all).",
    ),
]
NoFollow = Annotated[bool, Option("--no-follow", help="Show what there is so far, and end.")]
Stay = Annotated[
    bool, Option("--stay", help="Remote: leave a waiting run on its host in any case.")
]
Interactive = Annotated[
    bool,
    Option(
        "-i", "--interactive", help="Work in the terminal of a run that was started with --tty."
    ),
]


def watch(
    context: Context,
    run: OneRun = "",
    lines: Lines = None,
    no_follow: NoFollow = False,
    stay: Stay = False,
    interactive: Interactive = False,
    node: Node = None,
) -> None:
    """Show the output of a run until it ends; exit with its code.

    For a run on several hosts, each line begins with the name of its host.

    Ctrl-C leaves the run running. If the connection is cut, watch connects again and goes on.

    With -i you are in the terminal of the run, on the host that --node says: what you type goes
    there, Ctrl-C too. Ctrl-] three times within a second leaves it running.

    A run that waits moves to another host that has room, unless its hosts or its directory were
    chosen, or --stay is given.

    Example: genvx watch 1
    """
    if interactive:
        if lines is not None or no_follow:
            raise InvalidInput("-n and --no-follow are for watch without -i")
        raise Exit(_view(context, run, node, stays=stay))
    if node is not None:
        raise InvalidInput("--node goes with -i; without -i all hosts of the run are shown")
    _show(context, run, lines, to_its_end=not no_follow, stays=stay)


def logs(context: Context, run: OneRun = "", lines: Lines = None) -> None:
    """Show the output of a run so far; exit with its code if it has ended.

    Example: genvx logs -n 20 1
    """
    _show(context, run, lines, to_its_end=False)


def _view(context: Context, wanted: str, node: int | None, *, stays: bool) -> int:
    from genvx.cli.runs.viewing import require_our_terminal, view

    where = here(context)
    require_our_terminal(where, wanted)
    with where.fleet() as fleet:
        host, run = part_of(located_parts(where, fleet, wanted), node)
        return view(where, fleet, host, run, stays=stays)


def _show(
    context: Context,
    wanted: str,
    lines: int | None,
    *,
    to_its_end: bool,
    stays: bool = False,
) -> None:
    from genvx.cli.runs.following import follow, follow_gang

    where = here(context)
    with where.fleet() as fleet:
        parts = located_parts(where, fleet, wanted)
        if len(parts) > 1:
            code = follow_gang(where, parts, lines=lines, to_its_end=to_its_end)
        else:
            host, run = parts[0]
            code = follow(where, fleet, host, run, lines=lines, to_its_end=to_its_end, stays=stays)
    raise Exit(code)
