"""What `genvx doctor` checks of what runs need: a Python, and room on the disk."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from typing import TYPE_CHECKING

from genvx.core.finding import ERROR, OK, WARNING, Finding
from genvx.core.quantities.amounts import format_memory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Bytes. With less, logs and records cannot be written for long; a Python with a framework takes
# some gigabytes.
_FULL = 100 << 20
_SCARCE = 2 << 30
_FEW_FILES = 1000


def of_python(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Check the Python that genvx has, and the one that programs find."""
    yield Finding("python", OK, f"{platform.python_version()}, {sys.executable}")
    if shutil.which("python3", path=environ.get("PATH", os.defpath)) is None:
        yield Finding(
            "python", WARNING, "no python3 on the PATH of commands", "name it by its whole path"
        )


def of_room(rooms: Mapping[str, str]) -> Iterator[Finding]:
    """Check the disks on which directories are, or will be. rooms: what for, and where."""
    found: dict[object, tuple[list[str], str]] = {}
    for what, path in rooms.items():
        there = _existing(path)
        try:
            device: object = os.stat(there).st_dev
        except OSError:
            device = there
        found.setdefault((device, os.access(there, os.W_OK | os.X_OK)), ([], path))[0].append(what)
    for whats, path in found.values():
        yield _of_disk(" and ".join(whats), path)


def _of_disk(what: str, path: str) -> Finding:
    there = _existing(path)
    try:
        disk = os.statvfs(there)
    except OSError as error:
        return Finding("disk", ERROR, f"{what}: {there}: {error.strerror}")
    free = disk.f_bavail * disk.f_frsize
    result = f"{what}: {format_memory(free)} free in {path}"
    if not os.access(there, os.W_OK | os.X_OK):
        return Finding(
            "disk", ERROR, f"{what}: you cannot write in {there}", "choose another place"
        )
    if disk.f_files and disk.f_favail < _FEW_FILES:
        return Finding("disk", ERROR, f"{result}, but only {disk.f_favail} more files", _ADVICE)
    if free < _SCARCE:
        return Finding("disk", ERROR if free < _FULL else WARNING, result, _ADVICE)
    return Finding("disk", OK, result)


_ADVICE = "genvx runs purge, and what else is old, makes room"


def _existing(path: str) -> str:
    """Return the nearest directory above that is there."""
    while not os.path.isdir(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    return path
