"""Looks at this machine for `genvx enforce`: who uses which device, as the kernel says it."""

from __future__ import annotations

import grp
import os
import pwd
from typing import TYPE_CHECKING, Optional, TypeVar

from genvx.core.enforcing.sight import Facts, Sight
from genvx.core.text import printable
from genvx.core.value import value
from genvx.errors import StateError
from genvx.local import processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from genvx.core.policies.enforcement import Enforcement, Exempt
    from genvx.core.snapshot import Snapshot
    from genvx.local.machine import Machine

T = TypeVar("T")

# The inode of the first pid namespace (PROC_PID_INIT_INO).
_FIRST_PID_NAMESPACE = 0xEFFFFFFC
# The uids that users may have in their containers.
_SUBUIDS = "/etc/subuid"
_MOST_BYTES = 1 << 20
# The file of a program, as the kernel knows it: its device and its inode.
_Program = tuple[int, int]


@value
class Sighting:
    """What was seen, and lines about what could not be."""

    sight: Sight
    notes: tuple[str, ...] = ()


def sight_of(machine: Machine, rules: Enforcement) -> Sighting:
    """Look at the devices of a machine and at who uses them.

    Raises:
        StateError: something is missing without which nobody can be judged.
    """
    exempt = _Exempted(rules.exempt)
    asked_ns = processes.boottime_ns()
    snapshot = machine.snapshot()
    if snapshot.driver.error is not None:
        raise StateError(f"the driver does not answer: {printable(snapshot.driver.error, 300)}")
    if not snapshot.driver.simulated and not _sees_all_processes():
        raise StateError(
            "this is a container, where pids of the driver are other processes; run it on the "
            "machine itself"
        )
    facts = _facts(snapshot, asked_ns, exempt.programs)
    uids = {each.uid for each in facts.values()} | {lease.owner.uid for lease in snapshot.leases}
    uid = machine.state.uid
    spared, notes = exempt.among(uids)
    return Sighting(
        Sight(snapshot, facts, spared, None if uid == 0 else uid),
        (*snapshot.driver.notes, *notes),
    )


def _sees_all_processes() -> bool:
    try:
        return os.stat("/proc/self/ns/pid").st_ino == _FIRST_PID_NAMESPACE
    except OSError:
        return False


def _facts(snapshot: Snapshot, asked_ns: int, programs: frozenset[_Program]) -> dict[int, Facts]:
    """What the kernel says about the processes on the devices of a snapshot."""
    # A start time is rounded down to a tick.
    tick_ns = 10**9 // os.sysconf("SC_CLK_TCK")
    found = {}
    for pid in {p.pid for usage in snapshot.usage.values() for p in usage.processes or ()}:
        described = processes.describe(pid)
        if described is not None and described.state not in "ZX":
            found[pid] = Facts(
                pid,
                described.uid,
                described.starttime,
                young=described.since_ns + tick_ns >= asked_ns,
                stopped=described.stopped,
                exempt=bool(programs) and _program_of(pid) in programs,
            )
    return found


def _program_of(pid: int) -> Optional[_Program]:
    # The file itself, not its name: in a mount namespace of their own, users give any name to any
    # file.
    return _file_of(f"/proc/{pid}/exe")


def _file_of(path: str) -> Optional[_Program]:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_dev, status.st_ino)


class _Exempted:
    """Whom no rule is for, as this machine knows them.

    Raises:
        StateError: somebody is not known here, perhaps because a directory service does not answer.
        Then nobody can be judged.
    """

    def __init__(self, exempt: Exempt) -> None:
        self._users = {*exempt.users}
        self._groups = {*exempt.groups}
        for name in exempt.users:
            if not name.isdecimal():
                _require(pwd.getpwnam, name, "user")
        self._gids = {_require(grp.getgrnam, name, "group").gr_gid for name in exempt.groups}
        # A program that is not installed runs nowhere.
        files = (_file_of(path) for path in exempt.commands)
        self.programs = frozenset(file for file in files if file is not None)

    def among(self, uids: Iterable[int]) -> tuple[frozenset[int], tuple[str, ...]]:
        """Return those of these users who are exempt, or may be, and lines about the latter."""
        ranges = _ranges()
        named = any(not name.isdecimal() for name in self._users) or bool(self._groups)
        spared, notes = set(), []
        for uid in sorted({*uids} - {0}):
            if str(uid) in self._users:
                spared.add(uid)
            elif any(first <= uid < last for first, last in ranges):
                spared.add(uid)
                notes.append(f"uid {uid} is of a container of some user; it is left alone")
            else:
                try:
                    user = pwd.getpwuid(uid)
                except KeyError:
                    if named:
                        spared.add(uid)
                        notes.append(f"uid {uid} has no name here, so it may be exempt")
                    continue
                groups = {*os.getgrouplist(user.pw_name, user.pw_gid)} if self._gids else set()
                if user.pw_name in self._users or groups & self._gids:
                    spared.add(uid)
        return frozenset(spared), tuple(notes)


def _require(find: Callable[[str], T], name: str, what: str) -> T:
    try:
        return find(name)
    except KeyError:
        raise StateError(
            f"policy.toml: enforce.exempt: there is no {what} {printable(name, 60)!r} here now"
        ) from None


def _ranges() -> list[tuple[int, int]]:
    """The uids of containers of users, as [first, last)."""
    found = []
    try:
        with open(_SUBUIDS, encoding="utf-8", errors="replace") as file:
            for line in file.read(_MOST_BYTES).splitlines():
                words = line.split(":")
                if len(words) == 3 and words[1].isdecimal() and words[2].isdecimal():
                    found.append((int(words[1]), int(words[1]) + int(words[2])))
    except OSError:
        pass  # a machine without containers of users
    return found
