"""genvx top: the fleet in a full screen of the terminal."""

from __future__ import annotations

from genvx.cli.ask.where import here
from genvx.cli.parse.declaring import Context, Exit


def top(context: Context) -> None:
    """Show GPUs, runs and the line in the whole terminal, live.

    There are pages of GPUs, processes, environments, your runs, and the line. It asks the hosts
    every second. The key ? shows all keys, and q quits; x releases an environment
    or stops a run of yours, after a question.

    Example: genvx remote top
    """
    from genvx.cli.live.loop import top as show

    raise Exit(show(here(context)))
