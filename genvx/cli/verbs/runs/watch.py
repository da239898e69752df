"""genvx watch and genvx logs: the output of a run, from where one likes."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from genvx.cli.ask.runs import OneRun, located_parts
from genvx.cli.ask.where import Where, here
from genvx.cli.views.log import LogView
from genvx.core.wire.runoperations import MOST_LINES, WatchRun
from genvx.shown.console import INTERRUPTED, say

Lines = Annotated[
    int | None,
    typer.Option(
        "-n",
        "--lines",
        metavar="LINES",
        min=0,
        max=MOST_LINES,
        help="Begin with so many of the last lines; with the first one by default.",
    ),
]
NoFollow = Annotated[bool, typer.Option("--no-follow", help="Do not wait for more.")]


def watch(
    context: typer.Context, run: OneRun = "", lines: Lines = None, no_follow: NoFollow = False
) -> None:
    """Show the output of a run until it ends; exit with its code.

    Of a run on several hosts, each line comes after the name of its host.

    Ctrl-C leaves the run running. Where the connection is cut, it goes on where it was.

    Example: genvx watch 1
    """
    raise typer.Exit(_show(here(context), run, lines, follow=not no_follow))


def logs(context: typer.Context, run: OneRun = "", lines: Lines = None) -> None:
    """Show the output of a run so far; exit with its code if it has ended.

    Example: genvx logs -n 20 1
    """
    raise typer.Exit(_show(here(context), run, lines, follow=False))


def _show(where: Where, wanted: str, lines: int | None, *, follow: bool) -> int:
    from genvx.fleet import runs

    with where.fleet() as fleet:
        parts = located_parts(where, fleet, wanted)
        host, run = parts[0]
        view = LogView(where, host.name, sys.stdout.isatty())
        asked = WatchRun(run.id, lines=lines, follow=follow)
        try:
            if len(parts) > 1:
                from genvx.cli.views import ganglog

                return ganglog.follow(where, parts, asked)
            for news in runs.watch(host, asked, lambda line: say(f"genvx: {line}")):
                view.take(news)
        except KeyboardInterrupt:
            view.finish()
            say(f"genvx: run {run.id} goes on; {where.typed} watch {run.id} shows it again")
            return INTERRUPTED
        except BrokenPipeError:
            # Whoever read our output has left; Python would complain at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            return 0
        return view.finish()
