"""Which of the files on a shelf somebody asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.projects.choosing import chosen
from genvx.core.projects.links import depends
from genvx.core.projects.manifest import DIRECTORY, LINK, Entry, Manifest, shown_name
from genvx.core.projects.plan import Known

if TYPE_CHECKING:
    from genvx.core.wire.treeoperations import PullRun

# As in the directory of a run on a host.
WORK, LOG, OTHERS = b"work", b"log", (b"events", b"project.diff")


def selected(manifest: Manifest, made: set[int], asked: PullRun) -> tuple[Manifest, list[str]]:
    """Return the files that are asked for, and what of them is not sent, in words.

    made: the indices of those that were not in the project. Raises Malformed.
    """
    below = WORK + b"/"
    every = [entry for entry in manifest.entries if entry.name.startswith(below)]
    entries = [
        entry
        for at, entry in enumerate(manifest.entries)
        if entry.name.startswith(below) and (asked.everything or at in made)
    ]
    if asked.only:
        entries = [each for each in entries if chosen(each.name[len(below) :], asked.only)]
    entries = _with_parents(entries, every)
    there = {each.name for each in entries if each.kind == DIRECTORY} | {WORK}
    loose = {e.name for e in entries if e.kind == LINK and depends(e.name, e.target, there)}
    entries = [each for each in entries if each.name not in loose]
    notes = [f"the link {shown_name(name)} goes up from what is not copied" for name in loose]
    if asked.bare:
        return Manifest(e._replace(name=e.name[len(below) :]) for e in entries), notes
    top = (LOG, *OTHERS) if asked.events else (LOG,)
    if entries:
        top = (*top, WORK)
    return Manifest([*entries, *(e for e in manifest.entries if e.name in top)]), notes


def known(manifest: Manifest, *, bare: bool) -> Known:
    """The names of all files of a run."""
    below = WORK + b"/"
    cut = len(below) if bare else 0
    return Known(
        {
            entry.name[cut:]: entry.kind == DIRECTORY
            for entry in manifest.entries
            if entry.name.startswith(below)
        }
    )


def _with_parents(entries: list[Entry], every: list[Entry]) -> list[Entry]:
    """The entries, with the directories in which they are."""
    names = {entry.name for entry in entries}
    needed = set()
    for name in names:
        parent = name.rpartition(b"/")[0]
        while parent and parent not in needed:
            needed.add(parent)
            parent = parent.rpartition(b"/")[0]
    return entries + [each for each in every if each.name in needed - names]
