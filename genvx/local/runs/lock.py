"""Which runs have a living supervisor: each holds the lock of a file beside its user's leases.

The run's directory may be on a network file system, where a lock proves nothing; this is always in
the local state directory. So "the supervisor lives" is the kernel's word, as it is for leases.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Optional

from genvx.core.runs.supervision import Supervision
from genvx.core.wire.plain import Malformed
from genvx.errors import StateError
from genvx.local import processes
from genvx.local.state import heldfile, publishing
from genvx.local.state.content import read_content
from genvx.local.state.kinds import of_name
from genvx.local.state.runkind import RUN, VIEW_SUFFIX
from genvx.local.state.saying import saying
from genvx.local.state.userdirectory import MOST_OF_A_KIND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from genvx.local.state.directory import StateDirectory
    from genvx.local.state.userdirectory import UserDirectory


def supervise(state: StateDirectory, run: str, directory: str) -> heldfile.HeldFile:
    """Say that this process supervises a run, for as long as it lives or until the file is let go.

    Raises:
        StateError: the state cannot be written, or too many runs of this user live here.
    """
    if sum(each.owner.uid == state.uid for each in living(state)) >= MOST_OF_A_KIND:
        raise StateError(
            f"{MOST_OF_A_KIND} runs of yours live on this machine, and more might not be seen; "
            "wait for some of them to end"
        )
    pid = os.getpid()
    path = os.fsencode(directory).decode("utf-8", "surrogateescape")
    ours = Supervision(run, processes.owner_of(state.uid), pid, processes.starttime(pid), path)
    with saying("say that a run is supervised"), state.own() as own:
        return heldfile.HeldFile(RUN.name(run), *publishing.publish(run, RUN, RUN.write(ours), own))


def living(state: StateDirectory) -> Iterator[Supervision]:
    """The runs of all users that have a living supervisor. Never raises for what a user put
    there.
    """
    for user in state.users():
        with suppress(OSError):
            for name in user.names((RUN.suffix,))[0]:
                with suppress(OSError, Malformed):
                    found = _read(state, user, name)
                    if found is not None:
                        yield found


def supervision_of(state: StateDirectory, uid: int, run: str) -> Optional[Supervision]:
    """The living supervisor of a user's run; None if there is none."""
    return next((each for each in living(state) if (each.owner.uid, each.id) == (uid, run)), None)


def is_supervisor(state: StateDirectory, claimed: Supervision) -> bool:
    """Whether the process that a user names as a run's supervisor is theirs and has the run's file
    open. Anybody can write any pid into a file of their own.
    """
    process = processes.describe(claimed.pid)
    if process is None or (process.uid, process.starttime) != (
        claimed.owner.uid,
        claimed.starttime,
    ):
        return False
    for user in state.users():
        if user.uid != claimed.owner.uid:
            continue
        with suppress(OSError):
            file = os.stat(RUN.name(claimed.id), dir_fd=user.descriptor, follow_symlinks=False)
            for name in os.listdir(f"/proc/{claimed.pid}/fd"):
                with suppress(OSError):
                    if os.path.samestat(file, os.stat(f"/proc/{claimed.pid}/fd/{name}")):
                        return True
    return False


def _read(state: StateDirectory, user: UserDirectory, name: str) -> Optional[Supervision]:
    meant = of_name(name, (RUN,))
    if meant is None:
        return None
    content = read_content(user, name)
    if not content.held:
        if state.uid in (0, user.uid):
            # The socket first: once the file is gone, it would never be found.
            with suppress(OSError):
                os.unlink(meant[1] + VIEW_SUFFIX, dir_fd=user.descriptor)
            os.unlink(name, dir_fd=user.descriptor)
        return None
    found: Supervision = RUN.read(
        content.data, owner=processes.owner_of(user.uid), identifier=meant[1]
    )
    return found
