"""How policies travel, and the question for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.device import VisibleAs
from genvx.core.policies.enforcement import (
    Enforcement,
    Exempt,
    IdleRule,
    Measure,
    MemoryRule,
    ProcessRule,
)
from genvx.core.policies.limit import Limit
from genvx.core.policies.policy import Entitlement, Policy
from genvx.core.wire.operation import Wire
from genvx.core.wire.questions import ShowPolicy
from genvx.core.wire.tables import (
    Kind,
    Table,
    choice,
    flag,
    integer,
    named,
    one,
    optional,
    seconds,
    text,
    texts,
)

if TYPE_CHECKING:
    from genvx.core.wire.fields import Fields

_MOST = 10_000


def _read_seconds(fields: Fields, key: str) -> float:
    return fields.integer(key)


LIMIT = Table(
    Limit,
    "limit",
    gpus=optional(integer()),
    memory=optional(integer()),
    # On the wire times are whole seconds; a limit of less than one must not become 0.
    time=optional(Kind(_read_seconds, lambda seconds: max(1, round(seconds)))),
)

PROCESS_RULE = Table(ProcessRule, "rule", do=choice(Measure), grace=seconds())

MEMORY_RULE = Table(MemoryRule, "rule", do=choice(Measure), grace=seconds(), margin=integer())

IDLE_RULE = Table(IdleRule, "rule", do=choice(Measure), after=seconds(), below=integer(1, 100))

EXEMPT = Table(
    Exempt,
    "exempt",
    users=texts(128, _MOST),
    groups=texts(128, _MOST),
    commands=texts(4096, _MOST),
)

ENFORCEMENT = Table(
    Enforcement,
    "enforcement",
    squatters=optional(one(PROCESS_RULE)),
    intruders=optional(one(PROCESS_RULE)),
    memory=optional(one(MEMORY_RULE)),
    idle=optional(one(IDLE_RULE)),
    exempt=one(EXEMPT),
    hook=texts(4096, _MOST),
)

POLICY = Table(
    Policy,
    "policy",
    everybody=one(LIMIT),
    groups=named(LIMIT, _MOST),
    users=named(LIMIT, _MOST),
    administrators=texts(128, _MOST),
    hidden=texts(128, _MOST),
    shared=optional(texts(128, _MOST)),
    oversubscribed=texts(128, _MOST),
    visible_as=optional(choice(VisibleAs)),
    in_use=flag(),
    debug_ports=flag(),
    enforcement=optional(one(ENFORCEMENT)),
)

ENTITLEMENT = Table(
    Entitlement, "entitlement", user=text(128), policy=one(POLICY), limit=one(LIMIT)
)

WIRES = (Wire("policy", Table(ShowPolicy, "policy"), ENTITLEMENT),)
