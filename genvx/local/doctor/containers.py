"""What `genvx doctor` checks of containers: whether this machine can start them, and that none goes
on after its run.

Docker's containers are children of its daemon. If the supervisor and the client of a run are both
killed, nothing holds its lease any more, and the container still uses the GPUs.
"""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING, Optional

from genvx.core.finding import OK, WARNING, Finding
from genvx.core.runs.container import Runtime
from genvx.core.text import printable
from genvx.local import processes
from genvx.local.running import runtimes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from typing import Callable

    from genvx.local.running.runtimes import Listed


_MOST_BYTES = 1 << 20
# What useradd gives each user: so many, the first user from here on.
_MANY, _FIRST = 65536, 100_000
_FILES = ("subuid", "subgid")


def ask(environ: Mapping[str, str], uid: int) -> tuple[Listed, ...]:
    """Ask all runtimes of this machine."""
    return tuple(runtimes.listed(found, environ, uid) for found in runtimes.all_here(environ))


def of_runtimes(
    seen: Sequence[Listed],
    environ: Mapping[str, str],
    uid: int,
    user: Optional[str] = None,
    etc: str = "/etc",
) -> Iterator[Finding]:
    """Say what starts containers here, and what keeps it from that.

    user: the name of the user with this uid, if it is not that of the system. etc: where the ids
    for rootless containers are.
    """
    if not seen:
        yield Finding("containers", OK, "no podman, docker or apptainer, so none for --image")
        return
    names = [each.runtime.value for each in seen if not each.failure]
    if names:
        yield Finding("containers", OK, f"{' and '.join(names)} for --image")
    for each in seen:
        if each.failure:
            yield Finding(
                "containers",
                # Where there is another one, it is nobody's fault that docker is for few users.
                OK if names else WARNING,
                f"{each.runtime.value} is installed, but does not answer: {each.failure}",
            )
    if uid == 0 or not any(each.runtime is Runtime.PODMAN for each in seen):
        return
    name = processes.owner_of(uid).name if user is None else user
    if not shutil.which("newuidmap", path=environ.get("PATH", os.defpath)):
        yield Finding(
            "containers",
            WARNING,
            "rootless podman lacks newuidmap: most images cannot be unpacked",
            "root can install the package uidmap (shadow-utils)",
        )
    lacking = [each for each in _FILES if not _has_ids(each, name, uid, environ, etc)]
    if lacking:
        where = " and ".join(f"{etc}/{each}" for each in lacking)
        shown = printable(name, 60)
        first = max(_FIRST, *(end for each in _FILES for end in _ends(f"{etc}/{each}")))
        ids = f"{first}-{first + _MANY - 1}"
        added = " ".join(f"--add-{each}s {ids}" for each in lacking)
        yield Finding(
            "containers",
            WARNING,
            f"rootless podman has no ids for {shown} in {where}: most images cannot be unpacked",
            f"root can type: usermod {added} {shown}; then {shown}: podman system migrate",
        )


def _has_ids(what: str, name: str, uid: int, environ: Mapping[str, str], etc: str) -> bool:
    if any(owner in (name, str(uid)) for owner, _, _ in _ranges(f"{etc}/{what}")):
        return True
    # They may come from a directory of users, such as SSSD's.
    program = shutil.which("getsubids", path=environ.get("PATH", os.defpath))
    if program is None:
        return False
    words = (program, *(("-g",) if what == "subgid" else ()), name)
    code, _ = runtimes.ask(words, environ, time.sleep, most=5.0)
    return code == 0


def _ends(path: str) -> list[int]:
    """The first id behind each range, and 0."""
    return [0, *(first + count for _, first, count in _ranges(path))]


def _ranges(path: str) -> Iterator[tuple[str, int, int]]:
    """The ranges in a file: their owner, their first id, and how many they are."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read(_MOST_BYTES).splitlines()
    except OSError:
        return
    for line in lines:
        words = line.strip().split(":")
        if len(words) == 3 and words[1].isdecimal() and words[2].isdecimal() and int(words[2]):
            yield words[0], int(words[1]), int(words[2])


def of_containers(
    seen: Sequence[Listed], alive: Callable[[], Collection[str]]
) -> Iterator[Finding]:
    """Check the containers of one's own runs.

    alive: returns the ids of all environments; asked after the containers, which end before them.
    """
    found = [(each.runtime.value, name, run) for each in seen for name, run in each.containers]
    known = alive() if found else ()
    for runtime, name, run in found:
        if run not in known:
            yield Finding(
                "containers",
                WARNING,
                f"container {name} goes on, but nothing holds the GPUs of its run {run}",
                f"{runtime} rm --force {name} ends it",
            )
