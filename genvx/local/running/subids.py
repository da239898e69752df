"""The user ids that rootless podman needs for its containers: a range for each user."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING, Optional

from genvx.core.text import printable
from genvx.core.value import value
from genvx.local import processes
from genvx.local.running.runtimes import ask

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MOST_BYTES = 1 << 20
# What useradd gives each user: so many, the first user from here on.
_MANY, _FIRST = 65536, 100_000
_FILES = ("subuid", "subgid")


@value
class Lack:
    """What is missing, and what root types."""

    what: str
    advice: str


def lack(
    environ: Mapping[str, str], uid: int, user: Optional[str] = None, etc: str = "/etc"
) -> Optional[Lack]:
    """Return what keeps rootless podman from starting containers for a user; None for nothing.

    user: the name of the user with this uid, if it is not that of the system. etc: where the ranges
    are.
    """
    if uid == 0:
        return None
    path = environ.get("PATH", os.defpath)
    if not shutil.which("newuidmap", path=path):
        return Lack("newuidmap", "root can install the package uidmap (shadow-utils)")
    name = processes.owner_of(uid).name if user is None else user
    lacking = [each for each in _FILES if not _has_ids(each, name, uid, environ, etc)]
    if not lacking:
        return None
    shown = printable(name, 60)
    first = max(_FIRST, *(end for each in _FILES for end in _ends(f"{etc}/{each}")))
    ids = f"{first}-{first + _MANY - 1}"
    added = " ".join(f"--add-{each}s {ids}" for each in lacking)
    return Lack(
        f"ids for {shown} in {' and '.join(f'{etc}/{each}' for each in lacking)}",
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
    code, _ = ask(words, environ, time.sleep, most=5.0)
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
