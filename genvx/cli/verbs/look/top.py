"""genvx top: the fleet in a full screen of the terminal."""

from __future__ import annotations

import typer

from genvx.cli.ask.where import here


def top(context: typer.Context) -> None:
    """Show GPUs, runs and the line in the whole terminal, live.

    There are pages of GPUs, processes, environments, your runs, and the line. It asks the hosts
    every second. The key ? shows all keys, and q quits; x releases an environment
    or stops a run of yours, after a question.

    Example: genvx remote top
    """
    from genvx.cli.live.loop import top as show

    raise typer.Exit(show(here(context)))
