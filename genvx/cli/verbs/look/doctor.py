"""genvx doctor: find out what is wrong, and what to do."""

from __future__ import annotations

import typer

from genvx.cli.ask.tabled import ONCE, PLAIN, Shown, tabled
from genvx.cli.ask.where import here


@tabled(*PLAIN, *ONCE, "no_summary")
def doctor(context: typer.Context, shown: Shown) -> None:
    """Show what is wrong, one line each, and what to do.

    The exit code is 4 if something is wrong.

    Example: genvx remote doctor
    """
    _show(context, shown)


@tabled(*PLAIN, *ONCE, "no_summary")
def check(context: typer.Context, shown: Shown) -> None:
    """Show what is wrong, as doctor does; Guild's name for it.

    The exit code is 4 if something is wrong.

    Example: genvx check
    """
    _show(context, shown)


def _show(context: typer.Context, shown: Shown) -> None:
    from genvx.cli.views.doctor import show

    where = here(context)
    with where.fleet() as fleet:
        raise typer.Exit(show(where, fleet, shown.output))
