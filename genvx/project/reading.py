"""Which .genvx.toml applies in a directory, and reading it."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from genvx.core.leases import ownership
from genvx.core.text import printable
from genvx.errors import InvalidInput
from genvx.project.checking import checked

if TYPE_CHECKING:
    from genvx.project.checking import Values

NAME = ".genvx.toml"
_MOST_BYTES = 65536


def find(start: Path | None = None, name: str = NAME) -> Path | None:
    """Return the file that applies in a directory: its own, or the nearest above; None if none is.

    start: the directory; the current one by default. name: of the file.
    """
    try:
        here = Path.cwd() if start is None else start.absolute()
    except FileNotFoundError:
        return None  # the current directory was removed
    for directory in (here, *here.parents):
        path = directory / name
        try:
            if path.is_file():
                return path
        except OSError:
            continue  # a directory that we may not read
    return None


class Stranger(InvalidInput):
    """A file is not loaded unasked, because somebody else could have written it.

    They could choose devices, hosts and times for us.
    """


def stranger(path: Path) -> str | None:
    """Return why a file is not loaded unasked; None if it is loaded."""
    try:
        return ownership.stranger(path.stat(), os.geteuid())
    except OSError as error:
        return error.strerror or str(error)


def load(path: Path, *, unasked: bool = False) -> Values:
    """Read a file and check its values.

    unasked: whether the user did not name the file.

    Raises:
        InvalidInput: the file cannot be read, is no TOML, or has a wrong key or value.
        Stranger: it is unasked, and somebody else could have written it.
    """
    import tomllib

    try:
        # It may have become a FIFO since it was found; opening that without O_NONBLOCK blocks.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise InvalidInput(f"{path} is no regular file any more")
            why = ownership.stranger(status, os.geteuid()) if unasked else None
            if why is not None:
                raise Stranger(f"{path} is not loaded: it {why}")
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise InvalidInput(f"{path}: more than {_MOST_BYTES} bytes")
        return checked(tomllib.loads(data.decode("utf-8")), str(path))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"{path}: not TOML: {printable(str(error), 200)}") from None
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}") from None
