"""The user's own config.toml, with the notifiers that they name."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from genvx.core.leases import ownership
from genvx.core.notifying.asked import Configured, read_config
from genvx.core.notifying.notifier import Way
from genvx.core.text import printable
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MOST_BYTES = 65536
_SECRET = (Way.WEBHOOK, Way.SLACK)


def usual(environ: Mapping[str, str]) -> str:
    """Return the path of the file."""
    config = environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return f"{config}/genvx/config.toml"


def load(environ: Mapping[str, str], left_out: Callable[[str], object] | None = None) -> Configured:
    """Read the file; without one nothing is configured.

    left_out: called with a line about a file that somebody else could have written, which then
    counts as none; without it such a file is an error.

    Raises:
        InvalidInput: it cannot be read, has a mistake, could have been written by somebody else, or
        has an address of the web that others can read.
    """
    path = usual(environ)
    shown = printable(path, 200)
    if not os.path.lexists(path):
        return Configured()
    import tomllib

    try:
        # O_NONBLOCK: opening a FIFO would block.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            # Of the open file: between a check by name and the open it could be exchanged.
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise InvalidInput(f"{shown} is no regular file")
            why = ownership.stranger(status, os.geteuid())
            if why is None and status.st_mode & stat.S_IWGRP and status.st_gid != os.getegid():
                why = f"can be written by the group {status.st_gid}"
            why = why or ownership.strange_directory(os.stat(os.path.dirname(path)), os.geteuid())
            if why is not None:
                message = f"{shown} is not used: it {why}, so others could write commands into it"
                if left_out is None:
                    raise InvalidInput(message)
                left_out(message)
                return Configured()
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise InvalidInput(f"cannot read {shown}: {error.strerror}") from None
    if len(data) > _MOST_BYTES:
        raise InvalidInput(f"{shown} is larger than {_MOST_BYTES >> 10} KiB")
    try:
        document = tomllib.loads(data.decode("utf-8-sig"))
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"{shown}: not TOML: {_place(str(error))}") from None
    except (UnicodeDecodeError, RecursionError):
        raise InvalidInput(f"{shown}: not TOML") from None
    found = read_config(document, shown)
    if status.st_mode & 0o077 and any(each.way in _SECRET for each in found.named.values()):
        raise InvalidInput(
            f"{shown} has the address of a webhook, which is a secret, and others can read it; "
            f"chmod 600 {shown}"
        )
    return found


def _place(message: str) -> str:
    """Where a mistake is, without the text around it, which may be a secret."""
    _, _, place = message.rpartition("(")
    return place.rstrip(")") if place.startswith("at ") else "a mistake"
