"""One round of `genvx enforce` on a host, asked for over the wire."""

from __future__ import annotations

from genvx.core.enforcing.action import Action, Done, Kind, Rule
from genvx.core.text import COMMAND_LIMIT, MESSAGE_LIMIT, NAME_LIMIT
from genvx.core.value import value
from genvx.core.wire.operation import Operation, Wire
from genvx.core.wire.tables import (
    Table,
    choice,
    flag,
    integer,
    many,
    one,
    optional,
    seconds,
    text,
    texts,
)

_MOST = 10_000


@value
class Enforced:
    """What a round has done, or would do. notes: lines about what could not be seen or done."""

    done: tuple[Done, ...] = ()
    notes: tuple[str, ...] = ()


@value
class EnforceOnce(Operation[Enforced]):
    """Look once, and do what is due by the host's policy: for root on everybody, otherwise on the
    processes and environments of the caller. dry_run: only say what that would be.
    """

    dry_run: bool = False


ACTION = Table(
    Action,
    "action",
    kind=choice(Kind),
    rule=choice(Rule),
    uid=integer(0, 1 << 32),
    user=text(NAME_LIMIT),
    devices=texts(NAME_LIMIT, _MOST),
    why=text(MESSAGE_LIMIT),
    pid=integer(),
    starttime=integer(),
    command=text(COMMAND_LIMIT),
    environment=text(NAME_LIMIT),
    name=text(NAME_LIMIT),
    left=optional(seconds()),
)
DONE = Table(Done, "done", action=one(ACTION), result=text(MESSAGE_LIMIT))
ENFORCED = Table(Enforced, "round", done=many(DONE, _MOST), notes=texts(MESSAGE_LIMIT, 1000))

WIRES = (Wire("enforce", Table(EnforceOnce, "enforce", dry_run=flag()), ENFORCED),)
