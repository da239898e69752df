"""The program `genvx` of shells that are opened over SSH, on hosts where genvx is not installed.

It lies beside the agent, in a directory of its own that is named by what is in it: a home may be
that of many hosts, each with another Python. It runs the loader's text, with which we were started
ourselves, and so checks the agent's file as each call does.
"""

from __future__ import annotations

import binascii
import os
import re
import shlex
import stat
import sys
import time

_OURS = re.compile(r"bin-[0-9a-f]{16}")
_KEPT_SECONDS = 30 * 86400
_GONE = (
    "genvx: what 'genvx remote activate' had put here is gone; it comes back when you activate a "
    "shell on this host again"
)
# To sh the second line is an exec of Python; to Python it is a string.
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
    """Make the program unless it is there; return its directory, "" where there can be none.

    A shell without it is a shell all the same, so nothing is raised.
    """
    finder = next((each for each in sys.meta_path if hasattr(each, "listed")), None)
    path = getattr(finder, "path", "")
    place, name = os.path.split(path)
    python = shlex.quote(sys.executable)
    if not path or len(sys.argv) < 2 or ":" in path or "'''" in python or "\\" in python:
        return ""  # run from memory, or where a PATH or the program cannot name it
    loader = binascii.a2b_base64(sys.argv[1]).decode("ascii").rpartition("\nstart(")[0]
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
    # A file system may be mounted so that no program on it can be run.
    return directory if os.access(f"{directory}/genvx", os.X_OK) else ""


def _write(directory: str, text: bytes) -> None:
    """Have the program in its directory, which is ours alone. Raises OSError if it cannot be."""
    try:
        os.mkdir(directory, 0o700)
    except FileExistsError:
        pass
    status = os.lstat(directory)
    if not stat.S_ISDIR(status.st_mode) or not _ours_alone(status):
        raise PermissionError(directory)
    os.utime(directory)  # in use: not to be cleaned up
    path = f"{directory}/genvx"
    try:
        if _ours_alone(os.lstat(path)):
            with open(path, "rb") as file:
                if file.read() == text:
                    return
    except FileNotFoundError:
        pass
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
