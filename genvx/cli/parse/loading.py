"""Verbs that are loaded when they are typed.

A command line has one verb. The modules of all of them, with what they import, take longer to load
than most verbs take to answer.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated

from genvx._version import __version__
from genvx.cli.parse.declaring import Command, Exit, Group, Option, parameters_of
from genvx.cli.parse.remoteoption import ADDED
from genvx.cli.parse.table import VERBS, Entry


class Verbs(Mapping[str, Command]):
    """The verbs of genvx, or with `remotely` of genvx remote, by name."""

    def __init__(self, *, remotely: bool) -> None:
        self.entries = {
            each.name: each for each in VERBS if (each.remotely if remotely else each.here)
        }
        self.remotely = remotely
        self._loaded: dict[str, Command] = {}

    def __getitem__(self, name: str) -> Command:
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


def _load(entry: Entry, *, remotely: bool) -> Command:
    module = importlib.import_module(f"genvx.cli.verbs.{entry.module}")
    found = getattr(module, entry.attribute)
    if entry.name == "remote":
        remote: Group = found
        return remote.placed(entry.name, Verbs(remotely=True))
    made: Command
    if isinstance(found, Group):
        verbs = {name: each for name, each in found.verbs.items() if each.remotely or not remotely}
        made = found.placed(entry.name, verbs)
    else:
        settings = {"hidden": entry.hidden, "runs": entry.runs, "divided": entry.divided}
        made = Command(entry.name, found, **settings)
    return made.adding(ADDED) if entry.remotely and not remotely else made


def _print_version(wanted: bool) -> None:
    print(f"genvx {__version__}")
    raise Exit


Version = Annotated[bool, Option("-V", "--version", check=_print_version, help="Show the version.")]


def _genvx(show_version: Version = False) -> None:
    """Has the options of genvx."""


_genvx.parameters = (*parameters_of(_genvx), *ADDED)  # type: ignore[attr-defined]


@cache
def root() -> Group:
    """Return genvx itself."""
    made = Group(
        "One pool of GPUs out of machines that are shared over SSH.",
        "genvx",
        verbs=Verbs(remotely=False),
    )
    made.callback()(_genvx)
    return made
