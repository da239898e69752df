"""The table of the operations of a host, which both ends of the wire read.

An operation is a value. Its class (questions.py, acts.py, ongoing.py) says what is sent; the type
in brackets is what the far end replies. `OPERATIONS` has each operation's name on the wire, the
table of its fields, and the form of its reply. A new operation is a class, a line here, a function
of the agent (genvx/agent), and a method of SSHHost. Operations on runs are in runoperations.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genvx.core.ask import Ask, Join, Wanted
from genvx.core.standing import Standing
from genvx.core.text import COMMAND_LIMIT, MESSAGE_LIMIT, NAME_LIMIT
from genvx.core.wire import grantcodec, requestcodec, snapshotcodec
from genvx.core.wire.acts import Attach, Detach, Release, Reserve, Signal
from genvx.core.wire.fields import MOST_DEVICES
from genvx.core.wire.forms import Bare, Later, Tagged, tagged
from genvx.core.wire.job import Job
from genvx.core.wire.ongoing import Hold, OpenShell, Run, RunInTurn
from genvx.core.wire.operation import Operation, Wire
from genvx.core.wire.progress import Behind, Joined, NeverRan, Progress
from genvx.core.wire.questions import Examine, FindPort, OwnUse, ShowPolicy, ShowUse, TakeSnapshot
from genvx.core.wire.tables import (
    Kind,
    Table,
    exact_text,
    flag,
    identifier,
    integer,
    many,
    named_lists,
    nothing,
    one,
    optional,
    seconds,
    string,
    strings,
    text,
    texts_by_name,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.policy import Entitlement
    from genvx.core.wire.tables import Form

MOST_WORDS = 10_000
_LONGEST_WORD = 512 * 1024
# As PATH_MAX of Linux: a longer path cannot be opened anyway.
_LONGEST_PATH = 4096
ASK = Table(
    Ask,
    "request",
    requirements=one(requestcodec.REQUIREMENTS),
    name=string(NAME_LIMIT + 1),  # require_name refuses longer ones
    environment_id=optional(identifier()),
    command=text(COMMAND_LIMIT),
    lasts=optional(seconds()),
    patience=optional(seconds()),
    keeps=flag(),
)
JOIN = Table(Join, "join", environment_id=identifier(), command=text(COMMAND_LIMIT))
_WANTED: Kind[Wanted] = tagged(Tagged("what is wanted", {"new": ASK, "join": JOIN}))
_JOB = Table(
    Job,
    "command",
    argv=optional(strings(_LONGEST_WORD, MOST_WORDS)),
    variables=texts_by_name(_LONGEST_WORD, MOST_WORDS),
    cwd=optional(string(_LONGEST_PATH)),
)
_PROGRESS: Tagged[Progress] = Tagged(
    "progress",
    {
        "granted": grantcodec.GRANT,
        "waiting": Table(Standing, "standing", place=integer(0, 1 << 20), reason=text(300)),
        "behind": Table(Behind, "turn", who=text(MESSAGE_LIMIT)),
        "joined": Table(Joined, "joined"),
        "never ran": Table(NeverRan, "start-up", start_up=text(256)),
    },
)
_OWN_USE = Table(
    OwnUse, "use", snapshot=one(snapshotcodec.SNAPSHOT), own=named_lists(MOST_DEVICES, 10_000)
)


def _entitlement() -> Form[Entitlement]:
    # Few calls are about policies.
    from genvx.core.wire.policycodec import ENTITLEMENT

    return ENTITLEMENT


OPERATIONS: Mapping[type[Operation[Any]], Wire[Any]] = {
    wire.table.make: wire  # type: ignore[misc]  # a class makes its values
    for wire in (
        Wire("snapshot", Table(TakeSnapshot, "snapshot", holders=flag()), snapshotcodec.SNAPSHOT),
        Wire("doctor", Table(Examine, "doctor"), Bare(many(grantcodec.FINDING))),
        Wire("policy", Table(ShowPolicy, "policy"), Later(_entitlement)),
        Wire("use", Table(ShowUse, "use", environment_id=identifier()), _OWN_USE),
        Wire("port", Table(FindPort, "port"), Bare(integer(1, 65535))),
        Wire(
            "release",
            Table(Release, "release", environment=string(NAME_LIMIT), kill=flag()),
            grantcodec.ENVIRONMENT,
        ),
        Wire(
            "attach",
            Table(
                Attach,
                "attach",
                environment_id=identifier(),
                requirements=one(requestcodec.REQUIREMENTS),
            ),
            grantcodec.GRANT,
        ),
        Wire(
            "detach",
            Table(
                Detach,
                "detach",
                environment_id=identifier(),
                devices=strings(NAME_LIMIT, MOST_WORDS),
            ),
            grantcodec.GRANT,
        ),
        Wire("reserve", Table(Reserve, "reserve", ask=one(ASK)), grantcodec.GRANT),
        Wire(
            "signal",
            Table(Signal, "signal", environment_id=identifier(), signal=string(16), lease=text(32)),
            Bare(nothing()),
        ),
        Wire("hold", Table(Hold, "hold", wanted=_WANTED, silence=optional(seconds())), _PROGRESS),
        Wire("run", Table(Run, "run", wanted=_WANTED, job=one(_JOB)), _PROGRESS),
        Wire(
            "lock",
            Table(
                RunInTurn,
                "lock",
                environment_id=identifier(),
                job=one(_JOB),
                patience=optional(seconds()),
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
                job=optional(one(_JOB)),
            ),
            Bare(nothing()),
        ),
    )
}
