"""How a trial has ended."""

from __future__ import annotations

import math
from typing import Optional, Union

from genvx.core.value import value
from genvx.errors import InvalidInput


@value
class Completed:
    """It ended well. value: what it reported at the end; None if it reported nothing."""

    value: Optional[float] = None

    def __post_init__(self) -> None:
        if self.value is not None and not math.isfinite(self.value):
            raise InvalidInput(f"a trial cannot be completed with {self.value}")


@value
class Failed:
    """It failed, or reported a value that is no number. why: one line, printable."""

    why: str = ""


@value
class Pruned:
    """It was ended early, because it fell behind. step, value: what it had reported last."""

    step: int
    value: float


@value
class Cancelled:
    """Somebody ended it."""


Outcome = Union[Completed, Failed, Pruned, Cancelled]


def completed(reported: Optional[float]) -> Outcome:
    """Return the outcome of a trial that ended well and reported this value last, or None."""
    if reported is not None and not math.isfinite(reported):
        return Failed(f"it reported {reported}")
    return Completed(reported)


__all__ = ["Cancelled", "Completed", "Failed", "Outcome", "Pruned", "completed"]
