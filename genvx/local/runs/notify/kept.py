"""The notifiers of a run with their addresses: a file that only its owner can read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.wire.notifiercodec import NOTIFIERS, Notifiers
from genvx.core.wire.plain import Malformed

if TYPE_CHECKING:
    from genvx.core.notifying.notifier import Notifier
    from genvx.core.runs.run import RunSpec
    from genvx.local.machine import Machine
    from genvx.local.runs.record import RunDirectory

FILE = "notify.json"


def write(directory: RunDirectory, spec: RunSpec) -> None:
    """Write them down, if there are any. Raises StateError."""
    if spec.notifiers:
        directory.write(FILE, NOTIFIERS, Notifiers(spec.notifiers))


def read(directory: RunDirectory) -> tuple[Notifier, ...]:
    """Return them; none where there are none."""
    if not directory.has(FILE):
        return ()
    try:
        return directory.read(FILE, NOTIFIERS).notifiers
    except Malformed:
        return ()


def require_all(host: Machine, spec: RunSpec) -> None:
    """Check that the notifiers of a run could work here.

    Raises:
        CommandNotFound, CommandNotExecutable, InvalidInput: one of them could not.
    """
    if spec.notifiers:
        from genvx.local.runs.notify.sending import require

        for each in spec.notifiers:
            require(each, host.environ)
