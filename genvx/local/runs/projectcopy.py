"""The copy of its project that a run gets, before its command starts."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING, Optional

from genvx.core.quantities.amounts import format_size
from genvx.core.runs.runstate import Failed, Preparing, Step
from genvx.errors import StateError
from genvx.local.runs.clock import now
from genvx.local.runs.record import WORK
from genvx.local.trees.copying import copy
from genvx.local.trees.store import trouble

if TYPE_CHECKING:
    from typing import Callable

    from genvx.core.runs.runstate import RunState
    from genvx.local.runs.record import RunDirectory
    from genvx.local.trees.store import StoredTree

_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# After so many seconds those who wait for the run are told that it is being prepared; and how often
# it is said how far it is.
_LONG = 0.5
_NEWS = 1.0


def give_copy(
    tree: Optional[StoredTree],
    directory: RunDirectory,
    report: Callable[[Preparing, bool], Optional[RunState]],
    say: Callable[[str], None],
) -> Optional[RunState]:
    """Copy a stored tree into the directory of a run, and let go of it; return the state of a run
    that ends with that. Nothing happens without a tree.

    report: called with how far it is, and whether somebody who waits for it should be told; it
    returns the state of a run that is to end. say: called with why it failed.
    """
    if tree is None:
        return None
    since, whole = now(), tree.manifest.size
    due = time.monotonic() + _LONG
    over = report(Preparing(since, Step.CODE), False)
    try:
        directory.make_work()
        target = os.open(os.path.join(directory.path, WORK), _OPEN_DIRECTORY)
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
        why = str(trouble(error, f"copy the project to {directory.path}"))
    else:
        return over
    finally:
        tree.close()
    # Half a copy is of no use, and where the disk is full, what follows needs the room.
    shutil.rmtree(os.path.join(directory.path, WORK), ignore_errors=True)
    say(why)
    return Failed(now(), step=Step.CODE, why=why)
