"""The files that a process has open for writing."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from typing import Callable

_GONE = " (deleted)"


def open_for_writing(pid: int, names: Collection[str]) -> set[str]:
    """Which files of these names a process has open for writing."""
    links = opened(pid, lambda path: _name(path) in names)
    return {_name(path) for _, path in links}


def _name(path: str) -> str:
    name = path.rpartition("/")[2]
    return name[: -len(_GONE)] if name.endswith(_GONE) else name


def opened(pid: int, wanted: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
    """Yield the files that a process has open for writing and whose path is wanted.

    Each is the link in /proc, and the path. The files themselves are not touched: one of them may
    be on a file system that hangs.
    """
    directory = f"/proc/{pid}/fd"
    with contextlib.suppress(OSError):
        for number in os.listdir(directory):
            with contextlib.suppress(OSError):
                link = f"{directory}/{number}"
                path = os.readlink(link)
                # The mode of the link itself says how the file was opened: w for writing.
                if wanted(path) and os.lstat(link).st_mode & stat.S_IWUSR:
                    yield link, path
