"""How the questions to a host travel, except those about findings, policies and runs."""

from __future__ import annotations

from genvx.core.wire.fields import MOST_DEVICES
from genvx.core.wire.forms import Bare
from genvx.core.wire.operation import Wire
from genvx.core.wire.questions import FindPort, OwnUse, ShowUse, TakeSnapshot
from genvx.core.wire.snapshotcodec import SNAPSHOT
from genvx.core.wire.tables import Table, flag, identifier, integer, named_lists, one

_OWN_USE = Table(OwnUse, "use", snapshot=one(SNAPSHOT), own=named_lists(MOST_DEVICES, 10_000))

WIRES = (
    Wire("snapshot", Table(TakeSnapshot, "snapshot", holders=flag(), sensors=flag()), SNAPSHOT),
    Wire("use", Table(ShowUse, "use", environment_id=identifier()), _OWN_USE),
    Wire("port", Table(FindPort, "port"), Bare(integer(1, 65535))),
)
