"""What a trial reports: lines of JSON, read without trust."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Optional

from genvx.core.value import field, value

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_BYTES = 64 << 10
_MOST_DEPTH = 16
_MOST_STEP = 1 << 53
# As Python and C print them; JSON has other words.
_NOT_FINITE = {b"nan": math.nan, b"-nan": math.nan, b"inf": math.inf, b"-inf": -math.inf}


@value
class Report:
    """One line that a trial has reported.

    value: NaN or infinite if the trial says so, as a diverged loss is; None if it has none. step:
    from 0; None without one. final: whether it is the result of the trial. more: all other keys, as
    JSON; numbers in it that are not finite are None.
    """

    value: Optional[float] = None
    step: Optional[int] = None
    final: bool = False
    more: Mapping[str, Any] = field(default_factory=dict)


def read_report(line: bytes) -> Optional[Report]:
    """Return the report of a line; None if it is none.

    A report is an object, such as {"value": 0.93}, or just a number. Without `final`, it is final
    if it has a value and no step.
    """
    if len(line) > MOST_BYTES or _depth(line) > _MOST_DEPTH:
        return None
    word = line.strip().lower()
    if word in _NOT_FINITE:
        return Report(_NOT_FINITE[word], final=True)
    try:
        found = json.loads(line.decode("utf-8"))
    except ValueError:
        # Also bytes that are not UTF-8, and numbers of more digits than Python reads.
        return None
    if not isinstance(found, dict):
        number = _number(found)
        return None if number is None else Report(number, final=True)
    return _of_object(found)


def _of_object(found: dict[str, Any]) -> Optional[Report]:
    number = _number(found.get("value"))
    if number is None and found.get("value") is not None:
        return None
    step = found.get("step")
    if isinstance(step, float) and step.is_integer():
        step = int(step)
    if step is not None and (
        isinstance(step, bool) or not isinstance(step, int) or not 0 <= step <= _MOST_STEP
    ):
        return None
    final = found.get("final", number is not None and step is None)
    if not isinstance(final, bool):
        return None
    more = {
        key: _tame(each) for key, each in found.items() if key not in ("value", "step", "final")
    }
    return Report(number, step, final, more)


def _number(found: Any) -> Optional[float]:
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        return None
    try:
        return float(found)
    except OverflowError:
        return math.inf if found > 0 else -math.inf


def _tame(found: Any) -> Any:
    """Return a value without numbers that JSON does not have."""
    if isinstance(found, float):
        return found if math.isfinite(found) else None
    if isinstance(found, list):
        return [_tame(each) for each in found]
    if isinstance(found, dict):
        return {key: _tame(each) for key, each in found.items()}
    return found


def _depth(line: bytes) -> int:
    """Return an upper bound of how deep it is nested: brackets in texts count, too."""
    deepest = depth = 0
    for each in line:
        if each in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif each in b"]}":
            depth -= 1
    return deepest


__all__ = ["MOST_BYTES", "Report", "read_report"]
