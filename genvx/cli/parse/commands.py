"""The classes of verbs and groups of verbs, whose help is our own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer.core

from genvx.cli.parse.pages import page, sections, text_of, usage_of
from genvx.core.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator


class Verb(typer.core.TyperCommand):
    """Verb is a command of genvx."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help of the verb."""
        params = self.get_params(ctx)
        formatter.write(page(ctx.command_path, text_of(self), params, usage_of(params)))


class Divided:
    """Divided is a verb whose command is all that comes behind `--`, even where words that it could
    take before that are left out. Its parameter `command` gets None without a `--`.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse what comes before `--`; leave the rest as it is."""
        at = args.index("--") if "--" in args else len(args)
        command = args[at + 1 :] if at < len(args) else None
        rest: list[str] = super().parse_args(ctx, args[:at])  # type: ignore[misc]
        early = ctx.params.get("command")
        if early:
            word = printable(early[0], 40)
            ctx.fail(f"write the command after --, as in: {ctx.command_path} RUN -- {word}")
        ctx.params["command"] = command
        return rest


class DividedVerb(Divided, Verb):
    """A verb of genvx whose command comes behind `--`."""


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
