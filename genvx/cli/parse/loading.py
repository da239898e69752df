"""Verbs that are loaded when they are typed.

A command line has one verb. The modules of all of them, with what they import, take longer to load
than most verbs take to answer.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

import typer

from genvx.cli.parse.commands import DividedVerb, Group, Verb
from genvx.cli.parse.groups import HELP, bare
from genvx.cli.parse.pages import filled, names, page, text_of
from genvx.cli.parse.remote import DividedRemoteVerb, RemoteGroup, RemoteVerb
from genvx.cli.parse.remoteoption import give
from genvx.cli.parse.table import VERBS, Entry


class Verbs(Mapping[str, Any]):
    """The commands of genvx, or with `remotely` of genvx remote, by name."""

    def __init__(self, *, remotely: bool) -> None:
        self.entries = {
            each.name: each for each in VERBS if (each.remotely if remotely else each.here)
        }
        self.remotely = remotely
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            self._loaded[name] = _load(self.entries[name], remotely=self.remotely)
        return self._loaded[name]

    # Mapping's own would load the verb only to say that there is one.
    def __contains__(self, name: object) -> bool:
        return name in self.entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)


class AllVerbs(Group):
    """The group of all verbs, which are loaded when they are typed: genvx, or genvx remote."""

    commands: Verbs  # type: ignore[assignment]  # nothing is ever put into it

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the verbs."""
        return list(self.commands)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help of the group, and its verbs: what each does, or for hosts its name."""
        if not self.commands.remotely:
            super().format_help(ctx, formatter)
            rare = ", ".join(each.name for each in self._shown() if each.rare)
            formatter.write(f"\n{filled(f'Also: {rare}')}\n")
            return
        params = self.get_params(ctx)
        formatter.write(page(ctx.command_path, text_of(self), params, " [OPTIONS] VERB ..."))
        formatter.write("\nVerbs (genvx --help says what each does):\n")
        formatter.write(names((each.section, each.name, each.line) for each in self._shown()))

    def _shown(self) -> Iterator[Entry]:
        return (each for each in self.commands.entries.values() if not each.hidden)

    def listed(self) -> Iterator[tuple[str, str, str]]:
        """Yield the verbs of which the help has a line, without loading one."""
        for entry in self._shown():
            if not entry.rare:
                yield entry.section, entry.name, entry.line


def all_verbs(made: typer.Typer, *, remotely: bool) -> AllVerbs:
    """Return the group of all verbs. made: the group itself, with its options."""
    group: Any = typer.main.get_group(made)
    group.commands = Verbs(remotely=remotely)
    found: AllVerbs = group
    return found


def _load(entry: Entry, *, remotely: bool) -> Any:
    module = importlib.import_module(f"genvx.cli.verbs.{entry.module}")
    made = getattr(module, entry.attribute)
    verb, group = (RemoteVerb, RemoteGroup) if remotely else (Verb, Group)
    if entry.divided:
        verb = DividedRemoteVerb if remotely else DividedVerb
    if entry.both:
        made = made(group, verb)
    if entry.name == "remote":
        command: Any = all_verbs(made, remotely=True)
    elif isinstance(made, typer.Typer):
        command = typer.main.get_group(made)
    else:
        command = typer.main.get_command(_alone(entry, made, verb))
    command.name = entry.name
    if entry.remotely and not remotely:
        give(command)
    return command


def _alone(entry: Entry, function: Any, kind: type[Verb]) -> typer.Typer:
    settings = HELP | {"allow_interspersed_args": False} if entry.runs else HELP
    alone = bare()
    alone.command(entry.name, cls=kind, context_settings=settings, hidden=entry.hidden)(function)
    return alone
