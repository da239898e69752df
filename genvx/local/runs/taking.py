"""Taking the files of a run into a directory here: which may come, and which may be deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.projects.choosing import chosen
from genvx.core.projects.manifest import DIRECTORY, FILE, shown_name
from genvx.errors import ProtocolError
from genvx.local.runs.places import WORK
from genvx.local.runs.projectdiff import DIFF
from genvx.local.runs.record import EVENTS, LOG
from genvx.local.trees.clearing import require_place
from genvx.local.trees.landing import Landing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from genvx.core.projects.manifest import Manifest
    from genvx.core.projects.plan import Known

_EXPECTED = ((LOG, FILE), (EVENTS, FILE), (DIFF, FILE), (WORK, DIRECTORY))


def landing_of(
    directory: str,
    environ: Mapping[str, str],
    *,
    bare: bool = False,
    delete: bool = False,
    only_say: bool = False,
) -> Landing:
    """The landing of a run's files in a directory. bare: just its files. delete: something may be
    deleted there. only_say: nothing is written.

    Raises:
        InvalidInput: nothing should be deleted there.
    """
    if bare:
        landing = Landing(directory, environ, only_say=only_say)
    else:
        landing = Landing(directory, environ, only_say=only_say, check=require_files_of_run)
    if delete:
        require_place(landing.path, environ)
    return landing


def extra_files(
    landing: Landing, known: Known, only: Sequence[str] = (), *, bare: bool = False
) -> list[bytes]:
    """The names in a landing that the run does not have any more; with patterns, of the files that
    fit one.
    """
    extra = landing.extra(known.names, b"" if bare else WORK.encode())
    gone = [name for name in extra if not known.spares(name.rstrip(b"/"))]
    if not only:
        return gone
    start = 0 if bare else len(WORK) + 1
    return [name for name in gone if not name.endswith(b"/") and chosen(name[start:], only)]


def require_files_of_run(manifest: Manifest) -> None:
    """Raise ProtocolError unless these are files of a run: its log, its events, its diff, and what
    is in its directory.
    """
    for entry in manifest.entries:
        top = entry.name.partition(b"/")[0].decode("utf-8", "replace")
        kind = entry.kind if b"/" not in entry.name else DIRECTORY
        if (top, kind) not in _EXPECTED:
            raise ProtocolError(
                f"the files are refused: {shown_name(entry.name)} is neither the log of a run nor "
                "in its directory"
            )
