"""Copies of runs of other machines, beside the runs of this one.

    RUNS/<id>/pulled.json   where it came from; a directory without it is a run of this machine
              brought       the names of the files that were copied into it
              spec.json, state.json, marks.json, log, events, work/   as those of a run

The record is what the run's host said when it was asked, read and written anew (bringing.py); no
file of the host becomes a part of it. Nothing is ever looked for that would show whether a copy
lives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from genvx.core.runs.runinfo import RunInfo
from genvx.core.wire.plain import Malformed
from genvx.core.wire.runcodec import PULLED
from genvx.local.runs.places import name_in, shown_path

if TYPE_CHECKING:
    from genvx.local.runs.record import RunDirectory

PULLED_FILE = "pulled.json"


def is_copy(directory: RunDirectory) -> bool:
    """Whether this is a copy of a run of another machine."""
    return directory.has(PULLED_FILE)


def read_copy(directory: RunDirectory) -> Optional[RunInfo]:
    """A copy as it is shown; None if its record cannot be read."""
    try:
        pulled = directory.read(PULLED_FILE, PULLED)
        spec, (state, _) = directory.spec(), directory.state()
    except Malformed:
        return None
    if name_in(spec) != directory.id:
        return None
    marks = directory.marks()
    note = "" if pulled.whole else "not all of it has come yet; pull it again"
    return RunInfo(
        spec,
        state,
        note,
        marks.label,
        marks.tags,
        directory.log_bytes(),
        directory.deleted,
        shown_path(directory.path),
        pulled=pulled,
    )
