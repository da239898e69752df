"""How operations travel that change what environments have, and end with one reply."""

from __future__ import annotations

from genvx.core.text import MESSAGE_LIMIT, NAME_LIMIT
from genvx.core.wire.acts import Attach, Detach, Release, Reserve, Signal, StopWhenIdle
from genvx.core.wire.askcodec import ASK, MOST_WORDS
from genvx.core.wire.forms import Bare
from genvx.core.wire.grantcodec import ENVIRONMENT, GRANT
from genvx.core.wire.operation import Wire
from genvx.core.wire.requestcodec import REQUIREMENTS
from genvx.core.wire.tables import (
    Table,
    flag,
    identifier,
    nothing,
    one,
    seconds,
    string,
    strings,
    text,
)

WIRES = (
    Wire(
        "release",
        Table(Release, "release", environment=string(NAME_LIMIT), kill=flag()),
        ENVIRONMENT,
    ),
    Wire(
        "attach",
        Table(Attach, "attach", environment_id=identifier(), requirements=one(REQUIREMENTS)),
        GRANT,
    ),
    Wire(
        "detach",
        Table(
            Detach, "detach", environment_id=identifier(), devices=strings(NAME_LIMIT, MOST_WORDS)
        ),
        GRANT,
    ),
    Wire("reserve", Table(Reserve, "reserve", ask=one(ASK)), GRANT),
    Wire(
        "signal",
        Table(Signal, "signal", environment_id=identifier(), signal=string(16), lease=text(32)),
        Bare(nothing()),
    ),
    Wire(
        "stop-when-idle",
        Table(StopWhenIdle, "stop-when-idle", seconds=seconds(), first=seconds()),
        Bare(text(MESSAGE_LIMIT)),
    ),
)
