"""Where the directories of one's runs are, and what they are called."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from genvx.core.text import is_identifier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.runs.run import RunSpec

# In the directory of a run: where its command starts.
WORK = "work"


def home_of(environ: Mapping[str, str]) -> str:
    """The home directory, from which the directories of commands are counted."""
    return environ.get("HOME") or os.path.expanduser("~")


def place_of(spec: RunSpec, directory: str, environ: Mapping[str, str]) -> str:
    """Where the command of a run starts: below the home, or in the run's own directory."""
    if spec.cwd and spec.project is None:
        return os.path.join(home_of(environ), spec.cwd)
    return os.path.join(directory, WORK, spec.cwd)


def shown_path(path: str) -> str:
    """A path as it is sent: as text, also where it is none."""
    return os.fsencode(path).decode("utf-8", "replace")


def runs_root(environ: Mapping[str, str]) -> str:
    """Where one's runs are: $GENVX_RUNS_DIR, else below $XDG_DATA_HOME, else ~/.local/share."""
    chosen = environ.get("GENVX_RUNS_DIR", "")
    if chosen:
        return os.path.abspath(os.path.expanduser(chosen))
    data = environ.get("XDG_DATA_HOME", "")
    if not os.path.isabs(data):
        data = os.path.join(home_of(environ), ".local", "share")
    return os.path.join(data, "genvx", "runs")


def shared_home(environ: Mapping[str, str]) -> str:
    """The home of commands in containers that are no runs; it stays, with all that they store."""
    return os.path.join(runs_root(environ), "home")


def name_in(spec: RunSpec) -> str:
    """The name of the directory of a run: its id. A part of a gang has its rank, too, because the
    hosts may share a home.
    """
    return spec.id if spec.part is None else f"{spec.id}.{spec.part.rank}"


def is_name(name: str) -> bool:
    """Whether the directory of a run may have this name."""
    identifier, dot, rank = name.partition(".")
    return is_identifier(identifier) and (rank.isdecimal() and rank.isascii() if dot else True)
