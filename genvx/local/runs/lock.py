"""Which runs have a living supervisor: each holds the lock of a file beside its user's leases.

The run's directory may be on a network file system, where a lock proves nothing; this is always in
the local state directory. So "the supervisor lives" is the kernel's word, as it is for leases.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Optional

from genvx.core.text import is_identifier
from genvx.core.value import value
from genvx.core.wire.fields import Fields, Malformed, dumps, loads
from genvx.errors import StateError
from genvx.local import processes
from genvx.local.state import locks
from genvx.local.state.directory import saying
from genvx.local.state.heldfile import MOST_BYTES, HeldFile, publish
from genvx.local.state.userdirectory import MOST_OF_A_KIND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from genvx.local.state.directory import StateDirectory
    from genvx.local.state.userdirectory import UserDirectory

_SUFFIX = ".run"
_LONGEST_PATH = 3072


@value
class Supervision:
    """A living supervisor. uid: whose run it is. directory: the path of the run's directory."""

    run: str
    uid: int
    pid: int
    starttime: int
    directory: str


def supervise(state: StateDirectory, run: str, directory: str) -> HeldFile:
    """Say that this process supervises a run, for as long as it lives or until the file is let go.

    Raises:
        StateError: the state cannot be written, or too many runs of this user live here.
    """
    if sum(each.uid == state.uid for each in living(state)) >= MOST_OF_A_KIND:
        raise StateError(
            f"{MOST_OF_A_KIND} runs of yours live on this machine, and more might not be seen; "
            "wait for some of them to end"
        )
    pid = os.getpid()
    data = dumps(
        {
            "v": 1,
            "pid": pid,
            "starttime": processes.starttime(pid),
            "directory": os.fsencode(directory).decode("utf-8", "surrogateescape"),
        }
    )
    with saying("say that a run is supervised"), state.own() as own:
        kept = os.dup(own)
        try:
            descriptor = None
            while descriptor is None:  # a reaper may take a half-made file for dead
                descriptor = publish(run, _SUFFIX, data, own)
            return HeldFile(run + _SUFFIX, descriptor, kept)
        except BaseException:
            os.close(kept)
            raise


def living(state: StateDirectory) -> Iterator[Supervision]:
    """The runs of all users that have a living supervisor. Never raises for what a user put
    there.
    """
    for user in state.users():
        with suppress(OSError):
            for name in user.names((_SUFFIX,))[0]:
                with suppress(OSError, Malformed):
                    found = _read(state, user, name)
                    if found is not None:
                        yield found


def supervision_of(state: StateDirectory, uid: int, run: str) -> Optional[Supervision]:
    """The living supervisor of a user's run; None if there is none."""
    return next((each for each in living(state) if (each.uid, each.run) == (uid, run)), None)


def _read(state: StateDirectory, user: UserDirectory, name: str) -> Optional[Supervision]:
    run = name[: -len(_SUFFIX)]
    if not is_identifier(run):
        return None
    descriptor = user.open(name)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != user.uid:
            return None
        if not locks.is_held(descriptor):
            if state.uid in (0, user.uid):
                os.unlink(name, dir_fd=user.descriptor)
            return None
        data = os.pread(descriptor, MOST_BYTES, 0)
    finally:
        os.close(descriptor)
    fields = Fields(loads(data), "the run")
    return Supervision(
        run=run,
        uid=user.uid,
        pid=fields.integer("pid", 1, 1 << 31),
        starttime=fields.integer("starttime"),
        directory=fields.string("directory", _LONGEST_PATH),
    )
