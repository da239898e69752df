"""Files of this machine, for `Fleet.push` and `Run.pull`; see genvx.fleet.shipping.here."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from genvx.local.runs.taking import extra_files, landing_of
from genvx.local.trees.project import Gathered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genvx.core.projects.plan import Known
    from genvx.local.trees.landing import Landing
    from genvx.local.trees.project import LocalProject


def gather(directory: str, *, everything: bool, follow_links: bool) -> LocalProject:
    """Read a directory that is to be sent. Raises InvalidInput, ProjectChanged: as Gathered."""
    gathered = Gathered(directory, follow_links=follow_links, everything=everything)
    return gathered.read(os.environ)


def landing(directory: str, *, bare: bool, delete: bool) -> Landing:
    """Return a directory that takes the files of a run; see landing_of."""
    return landing_of(directory, os.environ, bare=bare, delete=delete)


def extra(target: Landing, known: Known, only: Sequence[str], *, bare: bool) -> list[bytes]:
    """Return the names there that the run does not have; see extra_files."""
    return extra_files(target, known, only, bare=bare)
