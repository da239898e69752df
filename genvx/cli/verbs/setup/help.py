"""genvx help: the help of genvx, or of one of its verbs."""

from __future__ import annotations

from typing import Annotated

import typer

from genvx.cli.app import invoke

Verbs = Annotated[
    list[str] | None, typer.Argument(metavar="[VERB...]", help="Verb (default: all verbs).")
]


def help_(verb: Verbs = None) -> None:
    """Show the verbs of genvx, or the help of one.

    Example: genvx help remote run
    """
    raise typer.Exit(invoke([*(verb or []), "--help"]))
