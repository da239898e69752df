"""Groups of verbs, made with typer and without what typer adds to them."""

from __future__ import annotations

from typing import Any

import typer

from genvx.cli.parse.commands import Group

HELP = {"help_option_names": ["-h", "--help"]}


def bare(**settings: Any) -> typer.Typer:
    """Make a typer.Typer without typer's rich output and tracebacks, and --install-completion.

    Errors are one line each, printed by `genvx.cli.app.invoke`. settings: further arguments.
    """
    return typer.Typer(
        add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, **settings
    )


def group(text: str, kind: type[Group] = Group, **settings: Any) -> typer.Typer:
    """Make a group of verbs. kind: its class. settings: further arguments of typer.Typer."""
    return bare(cls=kind, help=text, context_settings=HELP, **settings)
