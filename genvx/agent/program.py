"""The program `genvx` for shells that are opened over SSH on hosts without an installed genvx.

It is beside the agent, in a directory that is named by its content: several hosts with different
Pythons may share a home. It contains the loader's text that started us, and so checks the agent's
file as each call does.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
import sys
import time

from genvx.local.delivered import delivered

_OURS = re.compile(r"bin-[0-9a-f]{16}")
_KEPT_SECONDS = 30 * 86400
_GONE = (
    "genvx: what 'genvx remote activate' had put here is gone; it comes back when you activate a "
    "shell on this host again"
)
# A script for two interpreters: to sh its second line executes Python, to Python it is a string. A
# #! line with Python would not do: its length is limited, and it cannot quote a path with spaces.
_TEXT = """\
#!/bin/sh
''''exec {python} -I -S "$0" "$@" # '''
# genvx of shells that 'genvx remote activate' opens here. It may be deleted at any time.
{loader}
data = look({place!r}, {name!r})
if not data:
    sys.exit({gone!r})
os.utime({directory!r})
run(data, {path!r}, "genvx")
"""


def leave() -> str:
    """Write the program unless it exists; return its directory, or "" if that is impossible.

    Nothing is raised: the shell works without the program.
    """
    found = delivered()
    python = shlex.quote(sys.executable)
    if found is None or ":" in found.path or "'''" in python or "\\" in python:
        return ""  # run from memory, or PATH or the program cannot name the file
    path, loader = found.path, found.functions
    place, name = os.path.split(path)
    words = {"python": python, "loader": loader, "place": place, "name": name, "path": path}
    from hashlib import sha256

    digest = sha256(repr(words).encode("utf-8", "surrogateescape")).hexdigest()
    directory = f"{place}/bin-{digest[:16]}"
    text = _TEXT.format(**words, gone=_GONE, directory=directory)
    try:
        _write(directory, text.encode("utf-8", "surrogateescape"))
        _clean(place)
    except OSError:
        return ""
    # The file system may be mounted with noexec.
    return directory if os.access(f"{directory}/genvx", os.X_OK) else ""


def _write(directory: str, text: bytes) -> None:
    """Write the program in a directory that only we may write. Raises OSError if that fails."""
    try:
        os.mkdir(directory, 0o700)
    except FileExistsError:
        pass
    status = os.lstat(directory)
    # If another user could write here, they could change the program that our shells run.
    if not stat.S_ISDIR(status.st_mode) or not _ours_alone(status):
        raise PermissionError(directory)
    os.utime(directory)  # in use, so _clean leaves it
    path = f"{directory}/genvx"
    try:
        if _ours_alone(os.lstat(path)):
            with open(path, "rb") as file:
                if file.read() == text:
                    return
    except FileNotFoundError:
        pass
    # Renamed into place: another shell may start the program at this moment, and must not read
    # half.
    temporary = f"{path}.{os.urandom(6).hex()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o700)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _ours_alone(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid() and not status.st_mode & 0o022


def _clean(place: str) -> None:
    """Delete programs that nobody has used for a month."""
    now = time.time()  # noqa: TID251  # what the times of files are
    for name in os.listdir(place):
        directory = f"{place}/{name}"
        if _OURS.fullmatch(name) and now - os.lstat(directory).st_mtime > _KEPT_SECONDS:
            try:
                for entry in os.listdir(directory):
                    os.unlink(f"{directory}/{entry}")
                os.rmdir(directory)
            except OSError:
                pass
