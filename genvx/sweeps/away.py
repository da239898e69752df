"""The record of a sweep that a host of its fleet runs: which host, and the runs that do it.

SWEEPS/<id>/away.json    on the machine where somebody asked for the sweep
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from genvx.core.text import NAME_LIMIT, is_identifier
from genvx.core.value import value
from genvx.core.wire.plain import Malformed, dumps, loads
from genvx.core.wire.runcodec import LONGEST_PATH
from genvx.core.wire.tables import Table, flag, optional, string, strings
from genvx.errors import InvalidInput, StateError

if TYPE_CHECKING:
    from genvx.sweeps.store import SweepDirectory

_NAME = "away.json"
_MOST_BYTES = 1 << 20
# The runs of the last times that somebody took the sweep up are enough to find its journal.
MOST_RUNS = 20


@value
class Away:
    """Away says who runs a sweep. host: its name. python, wheels: as after --on-python and
    --on-wheels. runs: ids, the latest last; each has run it, or was never accepted. accepted:
    whether the host has said that it has one of them, so that there is a journal.
    """

    host: str
    python: str | None = None
    wheels: str | None = None
    runs: tuple[str, ...] = ()
    accepted: bool = False


_AWAY = Table(
    Away,
    "who runs a sweep",
    host=string(NAME_LIMIT * 4),
    python=optional(string(LONGEST_PATH)),
    wheels=optional(string(LONGEST_PATH)),
    runs=strings(NAME_LIMIT, MOST_RUNS),
    accepted=flag(),
)


def away_of(directory: SweepDirectory) -> Away | None:
    """Return who runs a sweep; None if that is this machine.

    Raises:
        StateError: the record cannot be read.
    """
    path = os.path.join(directory.path, _NAME)
    try:
        with open(path, "rb") as file:
            away = _AWAY.read(loads(file.read(_MOST_BYTES)))
    except FileNotFoundError:
        return None
    except (OSError, Malformed, InvalidInput) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise StateError(f"cannot read {path}: {why}") from None
    if not all(is_identifier(each) for each in away.runs):
        raise StateError(f"cannot read {path}: it has what is no run")
    return away


def write_away(directory: SweepDirectory, away: Away) -> None:
    """Write down who runs a sweep.

    Raises:
        StateError: it cannot be written.
    """
    replace_file(os.path.join(directory.path, _NAME), dumps(_AWAY.write(away)))


def replace_file(path: str, data: bytes) -> None:
    """Write a file anew, as a whole: whoever is killed meanwhile leaves the former one.

    Raises:
        StateError: it cannot be written.
    """
    temporary = f"{path}.{os.urandom(4).hex()}"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except OSError as error:
        raise StateError(f"cannot write {path}: {error.strerror}") from None
