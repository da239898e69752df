"""Which value is better, and from which on a sweep is done."""

from __future__ import annotations

import math
import re
from enum import Enum
from typing import TYPE_CHECKING, Any, Optional

from genvx.core.text import printable
from genvx.core.value import value
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from genvx.core.sweeps.report import Report

_CONDITION = re.compile(
    r"\s*([A-Za-z_][A-Za-z0-9_./-]{0,63})\s*(>=|<=|>|<)\s*"
    r"([+-]?(?:\d{1,18}(?:\.\d{0,18})?|\.\d{1,18})(?:[eE][+-]?\d{1,3})?)\s*",
    re.ASCII,
)


class Goal(str, Enum):
    """Whether a larger value is better, or a smaller one."""

    MAXIMIZE = "maximize"
    MINIMIZE = "minimize"

    @classmethod
    def parse(cls, text: str) -> Goal:
        """Return the goal of this name; raise InvalidInput if there is none."""
        try:
            return cls(text.strip().lower())
        except ValueError:
            raise InvalidInput(
                f"a goal is maximize or minimize, not {printable(text, 40)!r}"
            ) from None

    def better(self, one: Optional[float], other: Optional[float]) -> bool:
        """Whether the first value is better than the second; None, NaN and infinities are worst."""
        if one is None or not math.isfinite(one):
            return False
        if other is None or not math.isfinite(other):
            return True
        return one > other if self is Goal.MAXIMIZE else one < other


@value
class StopWhen:
    """A condition on what a trial reports, such as value > 0.95, which ends a sweep.

    name: value, step, or another key of the report. comparison: >, >=, < or <=.
    """

    name: str
    comparison: str
    bound: float

    @classmethod
    def parse(cls, text: str) -> StopWhen:
        """Read a condition; raise InvalidInput, with the right form, if it is none."""
        match = _CONDITION.fullmatch(text)
        if match is None or not math.isfinite(float(match[3])):
            raise InvalidInput(
                f"not a condition: {printable(text, 60)!r}; write it like value > 0.95 or "
                "loss <= 0.1"
            )
        return cls(match[1], match[2], float(match[3]))

    def __str__(self) -> str:
        return f"{self.name} {self.comparison} {self.bound:g}"

    def met(self, report: Report) -> bool:
        """Whether a report fulfils the condition. One without this key, or with a value that is no
        number, does not.
        """
        found: Any = report.more.get(self.name)
        if self.name == "value":
            found = report.value
        elif self.name == "step":
            found = report.step
        if isinstance(found, bool) or not isinstance(found, (int, float)):
            return False
        if self.comparison[0] == ">":
            return found > self.bound or (self.comparison == ">=" and found == self.bound)
        return found < self.bound or (self.comparison == "<=" and found == self.bound)


__all__ = ["Goal", "StopWhen"]
