"""What the file of a run's supervisor says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.runs.supervision import Supervision
from genvx.core.wire.fields import Fields
from genvx.core.wire.plain import dumps, loads
from genvx.core.wire.tables import Table, integer, string

if TYPE_CHECKING:
    from genvx.core.leases.claim import Owner

# A path of a file has 4 KiB at most, and so does the whole file here.
_LONGEST_PATH = 3072
_SUPERVISION = Table(
    Supervision,
    "the supervisor",
    pid=integer(1, 1 << 31),
    starttime=integer(),
    directory=string(_LONGEST_PATH),
)


def supervision_to_file(supervision: Supervision) -> bytes:
    """Return the content of a supervisor's file."""
    return dumps({"v": 1, **_SUPERVISION.write(supervision)})


def supervision_from_file(data: bytes, *, owner: Owner, identifier: str) -> Supervision:
    """Read a supervisor's file whose owner and run are these, by the kernel and by its name.

    Raises:
        Malformed: it is none.
    """
    fields = Fields(loads(data), _SUPERVISION.what)
    return _SUPERVISION.read_fields(fields, id=identifier, owner=owner)
