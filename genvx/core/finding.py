"""What `genvx doctor` finds."""

from __future__ import annotations

from enum import Enum

from genvx.core.value import value


class Severity(str, Enum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


OK, WARNING, ERROR = Severity

# Findings of one kind: a user who fills the state directory must not fill the screen.
MOST_OF_A_KIND = 10


@value
class Finding:
    """One line of `genvx doctor`: what was checked, what was found, what to do."""

    check: str
    severity: Severity
    result: str
    advice: str = ""


@value
class Examination:
    """What a host finds of itself. epoch_ns: its wall clock, in nanoseconds since the epoch."""

    findings: tuple[Finding, ...]
    epoch_ns: int
