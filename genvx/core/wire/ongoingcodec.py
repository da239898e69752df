"""How operations travel that start something, and the replies that come while it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.line.standing import Standing
from genvx.core.text import MESSAGE_LIMIT
from genvx.core.wire.askcodec import JOB, WANTED
from genvx.core.wire.forms import Bare, Tagged
from genvx.core.wire.grantcodec import GRANT
from genvx.core.wire.ongoing import Hold, OpenShell, Run, RunInTurn, ServeSSH, Stay
from genvx.core.wire.operation import Wire
from genvx.core.wire.progress import Behind, Joined, NeverRan
from genvx.core.wire.tables import (
    Table,
    exact_text,
    flag,
    identifier,
    integer,
    nothing,
    one,
    optional,
    seconds,
    text,
)

if TYPE_CHECKING:
    from genvx.core.wire.progress import Progress

# A public key of 16,384 bits of RSA takes a sixth of it.
_LONGEST_KEY = 16 * 1024
_PROGRESS: Tagged[Progress] = Tagged(
    "progress",
    {
        "granted": GRANT,
        "waiting": Table(Standing, "standing", place=integer(0, 1 << 20), reason=text(300)),
        "behind": Table(Behind, "turn", who=text(MESSAGE_LIMIT)),
        "joined": Table(Joined, "joined"),
        "never ran": Table(NeverRan, "start-up", start_up=text(256)),
    },
)

WIRES = (
    Wire("hold", Table(Hold, "hold", wanted=WANTED, silence=optional(seconds())), _PROGRESS),
    Wire("run", Table(Run, "run", wanted=WANTED, job=one(JOB)), _PROGRESS),
    Wire(
        "lock",
        Table(
            RunInTurn,
            "lock",
            environment_id=identifier(),
            job=one(JOB),
            patience=optional(seconds()),
        ),
        _PROGRESS,
    ),
    Wire(
        "ssh",
        Table(
            ServeSSH,
            "ssh",
            environment_id=identifier(),
            key=exact_text(_LONGEST_KEY),
            in_run=flag(),
        ),
        _PROGRESS,
    ),
    Wire(
        "shell",
        Table(
            OpenShell,
            "shell",
            environment_id=identifier(),
            prompt=optional(exact_text(300)),
            job=optional(one(JOB)),
        ),
        Bare(nothing()),
    ),
    Wire("stay", Table(Stay, "stay", silence=seconds(), runs=flag()), Bare(nothing())),
)
