"""The copy of its project that a run gets, before its command starts."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING, Optional

from genvx.core.quantities.amounts import format_size
from genvx.core.runs.runstate import Failed, Preparing, Step
from genvx.errors import StateError
from genvx.local.diskerror import disk_error
from genvx.local.runs.clock import now
from genvx.local.runs.places import WORK

if TYPE_CHECKING:
    from typing import Callable

    from genvx.core.runs.runstate import RunState
    from genvx.local.runs.record import RunDirectory
    from genvx.local.trees.store import StoredTree

    # Called with the progress, and whether a client that waits should hear it; returns a state if
    # the run is to end.
    Report = Callable[[Preparing, bool], Optional[RunState]]

# Seconds after which a client that waits for the run hears that it is being prepared; and between
# reports of the progress.
_LONG = 0.5
_NEWS = 1.0


def give_copy(
    tree: Optional[StoredTree],
    directory: RunDirectory,
    report: Report,
    say: Callable[[str], None],
) -> Optional[RunState]:
    """Copy a stored tree into the directory of a run, and close it; return a state if the run ends
    with that. Without a tree, do nothing.

    say: called with the reason of a failure.
    """
    if tree is None:
        return None
    # Imported here: a supervisor should be small, and most runs have no project.
    from genvx.local.trees.copying import copy
    from genvx.local.trees.place import OPEN_DIRECTORY

    since, whole = now(), tree.manifest.size
    due = time.monotonic() + _LONG
    over = report(Preparing(since, Step.CODE), False)
    try:
        directory.make_work()
        target = os.open(os.path.join(directory.path, WORK), OPEN_DIRECTORY)
        try:
            for done in copy(tree, target):
                at = time.monotonic()
                if at >= due:
                    due = at + _NEWS
                    progress = f"{format_size(done)} of {format_size(whole)}"
                    over = report(Preparing(since, Step.CODE, progress), True)
                if over is not None:
                    return over
        finally:
            os.close(target)
    except StateError as error:
        why = f"cannot copy the project: {error}"
    except OSError as error:
        why = str(disk_error(error, f"copy the project to {directory.path}"))
    else:
        return over
    finally:
        tree.close()
    # Half a copy is of no use, and on a full disk it takes the room that the record needs.
    shutil.rmtree(os.path.join(directory.path, WORK), ignore_errors=True)
    say(why)
    return Failed(now(), step=Step.CODE, why=why)
