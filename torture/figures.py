"""The figures: what is tried, what is wanted, and which function tries it."""

from __future__ import annotations

import importlib
import importlib.util
import shutil
from collections.abc import Callable
from dataclasses import dataclass

from torture import ground
from torture.trial import Outcome, Trial


def _has(program: str) -> bool:
    return shutil.which(program) is not None or shutil.which(program, path="/usr/sbin") is not None


NEEDS: dict[str, Callable[[], bool]] = {
    "root, for namespaces and mounts": ground.inside,
    "strace": lambda: _has("strace"),
    "a C compiler": lambda: _has("cc"),
    "sshd": lambda: _has("sshd"),
    "ip, for networks": lambda: _has("ip"),
    "atheris, as with pip install atheris": lambda: bool(importlib.util.find_spec("atheris")),
}
_ROOT, _STRACE, _CC, _SSHD, _IP, _ATHERIS = NEEDS


@dataclass(frozen=True)
class Figure:
    """places: the file systems that the full form tries it on; "here" is that of /var/tmp."""

    name: str
    what: str
    wanted: str
    home: str
    needs: tuple[str, ...] = ()
    places: tuple[str, ...] = ("here",)

    def run(self, trial: Trial) -> Outcome:
        module, _, function = self.home.partition(":")
        result: Outcome = getattr(importlib.import_module(f"torture.{module}"), function)(trial)
        return result

    def missing(self) -> list[str]:
        return [need for need in self.needs if not NEEDS[need]()]


_STORES = ("ext4", "tmpfs")

FIGURES = (
    Figure(
        "F1", "hammer: processes of 4 users at 8 GPUs, SIGKILLs",
        "0 double grants, 0 leaked leases, 30,000 grants a minute",
        "hammer:hammer", places=_STORES,
    ),
    Figure(
        "F2", "the same without the lock file", "0 double grants",
        "hammer:without_lock", places=("ext4",),
    ),
    Figure(
        "F2", "the same, a hostile user replacing the lock file", "0 double grants",
        "hammer:replaced_lock", places=("tmpfs",),
    ),
    Figure(
        "F2", "the same, root provisioning the machine meanwhile",
        "0 double grants, the old place left", "moving:moving", (_ROOT,),
    ),
    Figure(
        "F3", "SIGKILL at every system call of acquire, release, join, attach, wait, run, activate",
        "0 violations", "inject:killed", (_STRACE,), _STORES,
    ),
    Figure(
        "F4", "ENOSPC, EIO, EMFILE, EROFS, EINTR, EDQUOT at every system call of these",
        "0 violations, each a line", "inject:failed", (_STRACE,), ("ext4",),
    ),
    Figure(
        "F5", "fuzzed lease files, held live by another user",
        "100,000 files, 0 crashes", "fuzz:leases",
    ),
    Figure(
        "F6", "fuzzed hostfiles, options, leases, tickets, policies, calls, frames, ssh's files",
        "100,000 cases each, 0 crashes, 0 hangs, 0 control characters", "fuzz:inputs", (_SSHD,),
    ),
    Figure(
        "F6", "the same, guided by coverage", "0 crashes, 0 hangs", "fuzz:guided", (_ATHERIS,),
    ),
    Figure(
        "F7", "a lease after SIGKILL of its holder", "free, p99 < 50 ms",
        "times:killed_holder", places=_STORES,
    ),
    Figure(
        "F8", "a lease on a host after SIGKILL of the client", "free, p99 < 250 ms",
        "network:killed_client", (_ROOT, _SSHD),
    ),
    Figure(
        "F8", "a network that is cut without a word",
        "the client is told in time, what it only held is free",
        "cuts:cut", (_ROOT, _SSHD, _IP),
    ),
    Figure(
        "F10", "servers that misbehave, host keys that are not the known ones",
        "0 past the deadline, 0 accepted, 0 threads or sockets left", "network:hostile", (_SSHD,),
    ),
    Figure(
        "F11", "1,000 hosts, 1 in 10 dead in six ways",
        "all others answer, a line each, wall + one deadline at most",
        "network:thousand", (_ROOT, _SSHD),
    ),
    Figure(
        "F12", "100 clients at 64 GPUs on 8 hosts, clients, connections and agents killed",
        "0 double grants, all free at the end", "pool:pool", (_SSHD,),
    ),
    Figure(
        "F13", "a disk that is full, out of inodes, over quota, read-only",
        "questions answered, acquire a line, nothing lost", "disks:disks", (_ROOT,),
    ),
    Figure(
        "F14", "wrong clocks, another boot, pids used again, stopped holders",
        "no change, all dead, no confusion, kept", "times:clocks", (_CC,),
    ),
    Figure(
        "F15", "drivers: lost, sick, hanging, old, missing, mismatched, MIG",
        "0 crashes, healthy GPUs granted, 5.5 s at most", "drivers:zoo", (_CC,),
    ),
    Figure(
        "F16", "first use by two users at once", "0 errors", "hammer:first_use", places=_STORES
    ),
    Figure(
        "F16", "openings of shells, another user locking all that can be read", "0 errors",
        "neighbours:locked_openings", (_ROOT,),
    ),
    Figure(
        "F17", "the state as a power cut leaves it at every write point, after the boot",
        "usable, no lease alive", "inject:booted", (_STRACE,), _STORES,
    ),
    Figure(
        "F18", "random lives of a host against a model",
        "held is seen, dead is not, never beyond capacity", "lives:lives",
    ),
    Figure(
        "F19", "hammer on 4 hosts with waiters and gangs, SIGKILLs",
        "0 double grants, 0 stranded tickets", "line:line", places=_STORES,
    ),
    Figure(
        "F20", "shells told to end before they are there, at hosts that refuse; swallowed ones",
        "0 of 200 lost, each swallowed one an error", "ahead:typed_ahead", (_SSHD,),
    ),
    Figure(
        "F21",
        "questions and commands while what keeps connections is killed, stopped, cut off or deaf",
        "each answer is that of the moment, no command runs twice, none late, 0 left",
        "keeping:keeping", (_SSHD,),
    ),
    Figure(
        "R1", "runs whose client, agent, connection, supervisor or command is killed; reboots, "
        "full disks, clocks",
        "what is shown is true: 0 invented, leaked, given or started twice",
        "runs:runs", (_ROOT, _STRACE, _CC, _SSHD),
    ),
    Figure(
        "R2", "somebody who watches a run through connections that are cut at any byte",
        "200 cuts, every line once and in order, the exit code", "watched:watched", (_SSHD,),
    ),
    Figure(
        "R3", "ends of runs with daemons, deaf, stopped, forking processes, fork bombs and guests",
        "0 left, GPUs free <= 1 s after the last", "trees:trees", (_ROOT,),
    ),
    Figure(
        "W4", "a sweep whose process, connections and trials are killed",
        "every trial begins once and counts once, one to a GPU", "sweeps:sweeps", (_SSHD,),
    ),
    Figure(
        "S3", "odd names, modes, times, links, holes, deep and large ones, pushed and pulled",
        "the same by an independent walk, and by rsync -ainc", "fidelity:fidelity", (_SSHD,),
    ),
    Figure(
        "S4", "pushes and pulls that are cut, side by side, without room, of files that change",
        "0 wrong contents, 0 left, goes on where it was", "shipping:shipping", (_ROOT, _SSHD),
    ),
    Figure(
        "S4", "hostile peers: paths, links, sizes, packing, cuts at every byte, links in the way",
        "0 files outside, 0 wrong contents, each a line", "hostile:hostile",
    ),
    Figure(
        "M4", "genvx enforce on random machines: hostile names, reused pids, missing facts",
        "10,000 worlds, 0 innocent hit, all guilty within two rounds", "enforced:enforced",
    ),
    Figure(
        "C2", "a client killed at every request of starting, stopping and ending a rented machine",
        "never two machines, nothing without a tag, nothing left after the end", "clouds:killed",
    ),
    Figure(
        "C2", "a client killed at every request of push, delete and purge, others beside it",
        "no half run listed, no blob lost that a manifest names", "shelves:killed",
    ),
)  # fmt: skip
