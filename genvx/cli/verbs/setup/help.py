"""genvx help: the help of genvx, or of one of its verbs."""

from __future__ import annotations

from typing import Annotated

from genvx.cli.parse.declaring import Argument, Exit
from genvx.cli.parse.helping import help_of

Verbs = Annotated[
    list[str] | None, Argument(metavar="[VERB...]", help="Verb (default: all verbs).")
]


def help_(verb: Verbs = None) -> None:
    """Show the verbs of genvx, or the help of one.

    Example: genvx help remote run
    """
    found = help_of(verb or [])
    if found is not None:
        print(found, end="")
        return
    # For typer to say what is wrong.
    from genvx.cli.app import invoke

    raise Exit(invoke([*(verb or []), "--help"]))
