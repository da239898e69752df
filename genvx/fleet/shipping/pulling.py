"""Copying the files of a run into a directory here, for programs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from genvx.core.projects.plan import Landed
from genvx.core.value import replace
from genvx.errors import InvalidInput
from genvx.fleet.shipping.reading import until_unchanged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from genvx.core.projects.plan import Known
    from genvx.core.runs.runinfo import RunInfo
    from genvx.core.wire.treeoperations import Pulling, PullRun
    from genvx.fleet.detaching.runs import RunHost


def pull_into(places: Mapping[RunHost, RunInfo], asked: PullRun, directory: str) -> Landed:
    """Copy the files of all parts of a run; see Run.pull. asked: without the run."""
    if not directory:
        raise InvalidInput("the directory is empty; . is the current one")
    found = []
    for host, run in places.items():
        if not hasattr(host, "pull"):
            raise InvalidInput(f"{host.name} has no files to copy")
        below = directory
        if len(places) > 1:
            below = os.path.join(directory, host.name.replace("/", "_"))
        found.append(_pull(host, replace(asked, run=run.asked_as), below))
    left_out = tuple(line for each in found for line in each.left_out)
    return Landed(
        sum(each.changed for each in found),
        sum(each.deleted for each in found),
        sum(each.size for each in found),
        left_out,
    )


def _pull(host: Any, asked: PullRun, directory: str) -> Landed:
    # Imported here: few programs copy files.
    from genvx.local.runs.taking import extra_files, landing_of

    place = landing_of(directory, os.environ, bare=asked.bare, delete=asked.names)
    with place as landing:

        def choose(known: Known) -> Sequence[bytes]:
            return extra_files(landing, known, asked.only, bare=asked.bare)

        def fetch() -> tuple[Pulling, Landed]:
            got: tuple[Pulling, Landed] = host.pull(asked, landing, choose=choose)
            return got

        told, landed = until_unchanged(fetch)
        return landed._replace(left_out=told.left_out)
