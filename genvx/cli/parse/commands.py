"""The classes of verbs and groups of verbs, whose help is our own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer.core

from genvx.cli.parse.pages import page, sections, text_of, usage_of

if TYPE_CHECKING:
    from collections.abc import Iterator


class Verb(typer.core.TyperCommand):
    """Verb is a command of genvx."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help of the verb."""
        params = self.get_params(ctx)
        formatter.write(page(ctx.command_path, text_of(self), params, usage_of(params)))


class Group(typer.core.TyperGroup):
    """Group is a number of verbs, listed under headings."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help of the group and a line for each verb."""
        params = self.get_params(ctx)
        formatter.write(page(ctx.command_path, text_of(self), params, " [OPTIONS] VERB ..."))
        formatter.write(sections(self.listed()))

    def listed(self) -> Iterator[tuple[str, str, str]]:
        """Yield each verb that the help lists: its heading, its name, its line of help."""
        for name, command in self.commands.items():
            if not command.hidden:
                yield "Verbs", name, text_of(command).split("\n")[0].rstrip(".")
