"""Trees that are odd in every way, and an independent look at them."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

ODD_NAMES = [
    b"plain",
    b"with space",
    b"two\nlines",
    b"\x1b[31mred",
    "übung".encode(),
    b"not-\xff-utf8",
    b"n" * 255,
    b"-rf",
    b"quote'\"",
]


def plant(root: Path) -> None:
    """Make a tree with all that should survive a journey."""
    base = os.fsencode(root)
    os.makedirs(base, exist_ok=True)
    for number, name in enumerate(ODD_NAMES):
        path = os.path.join(base, name)
        with open(path, "wb") as file:
            file.write(b"content %d\n" % number * number)
        os.utime(path, ns=(1, 1_000_000_007 + number))
    os.makedirs(base + b"/deep" + b"/d" * 60)
    (root / "deep" / "d" / "same").write_bytes(b"content 3\n" * 3)  # as one of the others
    (root / "empty").mkdir()
    (root / "run.sh").write_bytes(b"#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    (root / "secret").write_bytes(b"x")
    (root / "secret").chmod(0o400)
    (root / "link").symlink_to("run.sh")
    (root / "deep" / "up").symlink_to("../run.sh")
    (root / "nowhere").symlink_to("not/there")
    with open(root / "large", "wb") as file:
        file.write(os.urandom(9 << 20) + b"the end")
    with open(root / "holes", "wb") as file:
        file.truncate(64 << 20)
        file.seek(20 << 20)
        file.write(b"in the middle")
    with open(root / "hole", "wb") as file:
        file.truncate(300_000)


def listen(path: Path) -> socket.socket:
    """Make a socket file."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    return server


def seen(root: Path | str, *, writable: bool = True) -> dict[bytes, tuple[object, ...]]:
    """What is in a directory, by a walk that knows nothing of genvx.

    writable: directories are shown as writable for their owner, as copies have them.
    """
    found: dict[bytes, tuple[object, ...]] = {}
    base = os.fsencode(root)
    for place, directories, files in os.walk(base):
        for name in directories + files:
            path = os.path.join(place, name)
            status = os.lstat(path)
            mode = stat.S_IMODE(status.st_mode)
            what: tuple[object, ...]
            if stat.S_ISLNK(status.st_mode):
                what = ("link", os.readlink(path))
            elif stat.S_ISDIR(status.st_mode):
                what = ("directory", mode | (0o700 if writable else 0), status.st_mtime_ns)
            else:
                with open(path, "rb") as file:
                    what = ("file", mode, status.st_mtime_ns, file.read())
            found[os.path.relpath(path, base)] = what
    return found
