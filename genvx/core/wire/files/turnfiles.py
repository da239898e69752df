"""Turns as the files of the state directory have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.line.turn import LAST, Turn
from genvx.core.text import COMMAND_LIMIT
from genvx.core.value import replace
from genvx.core.wire.fields import Fields
from genvx.core.wire.plain import Malformed, dumps, loads
from genvx.core.wire.tables import Table, device_ids, exact_text, identifier, integer, under

if TYPE_CHECKING:
    from genvx.core.leases.claim import Owner

_TURN = Table(
    Turn,
    "the turn",
    environment_id=under("env", identifier()),
    devices=device_ids(),
    number=integer(0, LAST),
    pid=integer(0, 1 << 31),
    command=exact_text(COMMAND_LIMIT),
)


def turn_to_file(turn: Turn) -> bytes:
    """The content of the turn's own file."""
    return dumps({"v": 1, **_TURN.write(turn)})


def turn_from_file(data: bytes, *, owner: Owner, identifier: str) -> Turn:
    """Read the file of a turn that has its number.

    Raises:
        Malformed: it is none.
    """
    turn = _TURN.read_fields(Fields(loads(data), _TURN.what), id=identifier, owner=owner)
    if not turn.number:
        raise Malformed("the turn has no number")
    return turn


def choosing_from_file(data: bytes, *, owner: Owner, identifier: str) -> Turn:
    """Read the file of a turn whose number is being chosen; it is 0 whatever the file says.

    Raises:
        Malformed: it is none.
    """
    turn = _TURN.read_fields(Fields(loads(data), _TURN.what), id=identifier, owner=owner)
    return replace(turn, number=0)
