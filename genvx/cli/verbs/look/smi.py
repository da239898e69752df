"""genvx smi: show the GPUs of an environment, and its processes on them."""

from __future__ import annotations

from genvx.cli.ask import options
from genvx.cli.ask.tabled import PLAIN, Shown, tabled
from genvx.cli.ask.where import here
from genvx.cli.parse.declaring import Context, Exit


@tabled(*PLAIN, "no_summary")
def smi(context: Context, shown: Shown, id: options.OwnEnvironment = None) -> None:
    """Show an environment's GPUs and processes.

    Like nvidia-smi, but for one environment only. USED and UTIL count all processes on a GPU, OWN
    USED and OWN UTIL those of the environment.

    Example: genvx smi -w
    """
    from genvx.cli.views.smi import show

    where = here(context)
    with where.fleet() as fleet:
        raise Exit(shown.draw(lambda: show(where, fleet, shown.output, id)))
