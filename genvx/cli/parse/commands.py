"""The classes of typer's commands for verbs and groups of verbs, whose help is our own."""

from __future__ import annotations

from typing import Any

import typer.core

from genvx.cli.parse.helping import help_of
from genvx.core.text import printable


class Helped:
    """Helped is a command of typer's that shows our help."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        formatter.write(help_of(ctx.command_path.split()[1:]) or "")


class Verb(Helped, typer.core.TyperCommand):
    """Verb is a command of genvx."""


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


class VerbGroup(Helped, typer.core.TyperGroup):
    """VerbGroup is a number of verbs."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the verbs, without loading one."""
        return list(self.commands)
