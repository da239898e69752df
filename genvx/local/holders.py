"""Who holds a lease: the processes that have its file open for writing.

Whoever only reads the file is none: somebody who looks, or whom an enemy has made open it. A lease
is told by the name of its file and that file's owner. The name is random and never made twice,
while a file system gives the inode of a deleted file to the next one at once.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING

from genvx.core.lease import Holder, Lease, Part
from genvx.core.record import replace
from genvx.local import processes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from typing import Optional

    from genvx.local.store import LeaseStore

# The uid that owns a lease's file, and the name of the file.
LeaseFile = tuple[int, str]

# What a guardian calls itself: the shell that it holds a lease for is told of instead.
GUARDIAN = "genvx-guardian"

_GONE = " (deleted)"
# A job with many workers need not be told process by process.
_MOST_TOLD = 256


def find(files: Collection[LeaseFile]) -> Mapping[LeaseFile, Sequence[int]]:
    """The processes that hold these leases, ours too; as far as we may look into them.

    That is into our own, unless they forbid it as ssh-agent does; root looks into all.
    """
    names = {name for _, name in files}
    found: dict[LeaseFile, list[int]] = {file: [] for file in files}
    for pid in _pids():
        for file in _written_by(pid, names):
            if file in found:
                found[file].append(pid)
    return found


def is_held_by(pid: int, file: LeaseFile) -> bool:
    """Whether a process holds a lease, as far as we may look into it."""
    return file in _written_by(pid, {file[1]})


def with_holders(leases: Sequence[Lease], store: LeaseStore, uid: int) -> tuple[Lease, ...]:
    """The leases with their holders, as far as the user `uid`, whom we are, can see them.

    Of another user's lease one sees only whether the process that took it lives. We ourselves are
    told of only if we took it: who asks in an activated shell inherits the lease for a moment.
    """
    held = [lease for lease in leases if lease.part is Part.HELD]
    seen = find([_file(lease) for lease in held if uid in (0, lease.owner.uid)])
    told: dict[LeaseFile, Optional[tuple[Holder, ...]]] = {}
    for lease in held:
        file = _file(lease)
        pids = [pid for pid in seen.get(file, ()) if pid == lease.pid or pid != os.getpid()]
        certain = _described(lease, pids)
        if certain or not store.is_held(lease):
            told[file] = certain
        elif uid in (0, lease.owner.uid):
            told[file] = _described(lease, _closed_since(lease), certain=False) or None
        else:
            told[file] = _described(lease, [lease.pid], certain=False) or None
    return tuple(
        replace(lease, holders=told[_file(lease)] if lease.part is Part.HELD else ())
        for lease in leases
    )


def _file(lease: Lease) -> LeaseFile:
    return (lease.owner.uid, f"{lease.id}.lease")


def _described(lease: Lease, pids: Sequence[int], *, certain: bool = True) -> tuple[Holder, ...]:
    """Those that live still, whoever took the lease first, then the oldest first."""
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
        # What it says of itself is what it is for; the far end's command line is a program.
        command = (lease.command if took else "") or process.command
        holder = Holder(pid, command, process.since_ns, process.stopped, certain)
        found.append((not took, process.starttime, pid, holder))
    found.sort(key=lambda item: item[:3])
    return tuple(holder for *_, holder in found[:_MOST_TOLD])


def _closed_since(lease: Lease) -> list[int]:
    """The processes of a lease's owner that nobody may look into and that are younger than it."""
    found = []
    for pid in _pids():
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


def _pids() -> Iterator[int]:
    return (int(entry) for entry in os.listdir("/proc") if entry.isdigit())


def _written_by(pid: int, names: Collection[str]) -> set[LeaseFile]:
    """The files of these names that a process has open for writing."""
    found = set()
    directory = f"/proc/{pid}/fd"
    with contextlib.suppress(OSError):
        for number in os.listdir(directory):
            with contextlib.suppress(OSError):
                path = f"{directory}/{number}"
                name = os.readlink(path).rpartition("/")[2]
                if name.endswith(_GONE):
                    name = name[: -len(_GONE)]
                if name in names and os.lstat(path).st_mode & stat.S_IWUSR:
                    found.add((os.stat(path).st_uid, name))
    return found
