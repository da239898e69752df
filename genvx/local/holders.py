"""The processes that hold a lease: those that have its file open for writing.

A process that only reads the file does not hold it: it may be looking, or an attacker may have made
it open the file. A lease is identified by the name of its file and the uid of the process. The name
is random and never reused, while a file system soon gives the inode of a deleted file to another.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from genvx.core.leases.environment import Holder
from genvx.core.leases.lease import Lease, Part
from genvx.core.value import replace
from genvx.local import processes
from genvx.local.openfiles import open_for_writing
from genvx.local.state.kinds import LEASE

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from typing import Optional

    from genvx.local.state.store import LeaseStore

# The name of a guardian process; where one holds a lease, people are shown its shell instead.
GUARDIAN = "genvx-guardian"
# Nobody reads a list of all workers of a large job.
_MOST_TOLD = 256
# The uid of a lease's owner, and the name of its file.
_File = tuple[int, str]


def find(leases: Collection[Lease]) -> Mapping[_File, Sequence[int]]:
    """Find the processes that hold leases, ourselves included, as far as we may inspect them.

    Users may inspect their own processes, except those that forbid it, as ssh-agent does; root all.
    """
    found: dict[_File, list[int]] = {_file(lease): [] for lease in leases}
    names = {name for _, name in found}
    for pid in processes.pids() if found else ():
        opened = open_for_writing(pid, names)
        process = processes.describe(pid) if opened else None
        for name in opened:
            if process is not None and (process.uid, name) in found:
                found[process.uid, name].append(pid)
    return found


def is_held_by(pid: int, leases: Collection[Lease]) -> bool:
    """Whether a process has the file of one of the leases open, as far as we may inspect it."""
    return bool(open_for_writing(pid, {_file(lease)[1] for lease in leases}))


def with_holders(leases: Sequence[Lease], store: LeaseStore, uid: int) -> tuple[Lease, ...]:
    """Return the leases with their holders, as far as the user `uid`, whom we run as, can see them.

    Of another user's lease only one thing can be seen: whether the process that took it lives. We
    ourselves are listed only if we took the lease: a command in an activated shell inherits it
    briefly.
    """
    seen = find([lease for lease in leases if uid in (0, lease.owner.uid)])
    return tuple(
        replace(lease, holders=_holders_of(lease, seen.get(_file(lease)), store))
        for lease in leases
    )


def _holders_of(
    lease: Lease, seen: Optional[Sequence[int]], store: LeaseStore
) -> Optional[tuple[Holder, ...]]:
    """The holders of a lease, of whose processes these were seen; None if we may not see them."""
    if lease.part is not Part.HELD:
        return ()
    pids = [pid for pid in seen or () if pid == lease.pid or pid != os.getpid()]
    certain = _described(lease, pids)
    if certain or not store.is_held(lease):
        return certain
    # Another user's: only the process that took it can be seen, and whether it lives.
    maybe = [lease.pid] if seen is None else _closed_since(lease)
    return _described(lease, maybe, certain=False) or None


def _file(lease: Lease) -> _File:
    return (lease.owner.uid, LEASE.name(lease.id))


def _described(lease: Lease, pids: Sequence[int], *, certain: bool = True) -> tuple[Holder, ...]:
    """Those that are alive: the process that took the lease first, then the oldest first."""
    found = []
    for pid in pids:
        process = processes.describe(pid)
        if process is not None and process.name == GUARDIAN:
            pid, process = lease.pid, processes.describe(lease.pid)  # the shell that it is for
        if process is None or process.state in "ZX":
            continue
        took = (pid, process.starttime) == (lease.pid, lease.starttime)
        if pid == lease.pid and not took and not certain:
            continue  # the pid is another process's by now
        # The lease says what the process is for; the command line of an agent is only a long
        # program.
        command = (lease.command if took else "") or process.command
        holder = Holder(pid, command, process.since_ns, process.stopped, certain)
        found.append((not took, process.starttime, pid, holder))
    found.sort(key=lambda item: item[:3])
    return tuple(holder for *_, holder in found[:_MOST_TOLD])


def _closed_since(lease: Lease) -> list[int]:
    """The owner's processes that nobody may inspect and that are younger than the lease."""
    found = []
    for pid in processes.pids():
        process = processes.describe(pid)
        if (
            process is not None
            and process.uid == lease.owner.uid
            and process.since_ns >= lease.since_ns - 10**9
            and not _may_look_into(pid)
        ):
            found.append(pid)
    return found


def _may_look_into(pid: int) -> bool:
    try:
        os.listdir(f"/proc/{pid}/fd")
    except PermissionError:
        return False
    except OSError:
        pass  # it has ended
    return True
