"""Where remotes are written, and whether what is there may be used."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from genvx.core.leases import ownership
from genvx.core.text import printable
from genvx.errors import InvalidRemotes
from genvx.fleet.hosts.hostfile import stranger
from genvx.project.reading import find

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PROJECT = "genvx-remotes.yml"
# PyYAML reads about 100 KB in a second.
_MOST_BYTES = 256 << 10


@dataclass(frozen=True)
class Source:
    """A file with remotes. path: in messages. base: where relative paths in it start. secret:
    whether only its owner can read it.

    found: whether genvx merely found it, in a project. Such a file may come with a cloned
    repository, so it may name no command, here or on hosts, and no secret.
    """

    path: str
    text: str
    base: str
    found: bool
    secret: bool = False


def usual(environ: Mapping[str, str]) -> str:
    """Return the path of the user's own file."""
    config = environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return f"{config}/genvx/remotes.yml"


def sources(environ: Mapping[str, str], tell: Callable[[str], object]) -> Iterator[Source]:
    """Yield the files that there are: the user's own, then the project's, which comes before it.

    $GENVX_REMOTES names a file in place of the user's own. tell: called with a line about a file
    of a project that is not loaded, because somebody else could have written it.

    Raises:
        InvalidRemotes: a file cannot be read, is too large, or is not the user's own.
    """
    named = environ.get("GENVX_REMOTES")
    own = os.path.expanduser(named) if named else usual(environ)
    if named or os.path.lexists(own):
        yield _read(own, found=False)
    project = find(name=PROJECT)
    if project is None or os.path.realpath(project) == os.path.realpath(own):
        return
    why = stranger(str(project))
    if why is not None:
        tell(f"{printable(str(project), 200)} is not loaded: it {why}")
        return
    yield _read(str(project), found=True)


def _read(path: str, *, found: bool) -> Source:
    shown = printable(path, 200)
    try:
        # O_NONBLOCK: opening a FIFO would block.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise InvalidRemotes(f"{shown} is no regular file")
            # Of the open file: between a check by name and the open it could be exchanged.
            why = ownership.stranger(status, os.geteuid())
            if why is None and status.st_mode & stat.S_IWGRP and status.st_gid != os.getegid():
                why = f"can be written by the group {status.st_gid}"
            if why is not None:
                raise InvalidRemotes(
                    f"{shown} is not used: it {why}, so others could write commands into it"
                )
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise InvalidRemotes(f"cannot read {shown}: {error.strerror}") from None
    if len(data) > _MOST_BYTES:
        raise InvalidRemotes(f"{shown} is larger than {_MOST_BYTES >> 10} KiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidRemotes(f"{shown} is not UTF-8 text (byte {error.start})") from None
    secret = not status.st_mode & 0o077
    return Source(path, text, str(Path(path).absolute().parent), found, secret)
