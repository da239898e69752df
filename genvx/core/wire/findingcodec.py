"""How findings travel, and the question for them."""

from __future__ import annotations

from genvx.core.finding import Examination, Finding, Severity
from genvx.core.text import MESSAGE_LIMIT
from genvx.core.wire.operation import Wire
from genvx.core.wire.questions import Examine
from genvx.core.wire.tables import Table, choice, integer, many, text

FINDING = Table(
    Finding,
    "finding",
    check=text(64),
    severity=choice(Severity),
    result=text(MESSAGE_LIMIT),
    advice=text(MESSAGE_LIMIT),
)

EXAMINATION = Table(Examination, "examination", findings=many(FINDING), epoch_ns=integer())

WIRES = (Wire("doctor", Table(Examine, "doctor"), EXAMINATION),)
