"""What a figure is given, and what it gives back."""

from __future__ import annotations

import random
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

_PATIENCE = 30.0


@dataclass(frozen=True)
class Trial:
    """One figure, tried once.

    seed: of every random choice. full: the form that is run by hand. place: an empty directory that
    every user can reach, on the file system that is tried.
    """

    seed: int
    full: bool
    place: Path

    def size(self, short: int, full: int) -> int:
        return full if self.full else short

    def chance(self, *parts: object) -> random.Random:
        """A source of random choices for one part of the figure."""
        return random.Random(f"{self.seed}:{parts}")


class Enough(BaseException):
    """The first violation of a figure of which nobody needs to see more."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


@dataclass
class Outcome:
    """What was seen.

    violations: what must never be, a line each. misses: numbers that were not reached. seen: counts
    and times, for the table. most: after so many violations nobody needs to see more; where that is
    one, the figure ends there.
    """

    most: ClassVar[int] = 5

    violations: list[str] = field(default_factory=list)
    misses: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    @property
    def met(self) -> bool:
        return not self.violations and not self.misses

    @property
    def enough(self) -> bool:
        """Whether there is no point in going on."""
        return len(self.violations) >= self.most

    def violated(self, what: str) -> None:
        """Note a violation.

        Raises:
            Enough: it is the only one that is wanted.
        """
        if not self.enough:
            self.violations.append(" ".join(what.split())[:500])
            # At once, too: a long run that is ended must not take what it saw along.
            print(f"    violated: {self.violations[-1]}", file=sys.stderr, flush=True)
            if self.most == 1 and threading.current_thread() is threading.main_thread():
                raise Enough(self)

    def check(self, fine: object, what: str) -> None:
        if not fine:
            self.violated(what)

    def at_least(self, got: float, wanted: float, what: str) -> None:
        if got < wanted:
            self.misses.append(f"{got:,} {what}, wanted at least {wanted:,}")

    def at_most(self, got: float, wanted: float, what: str) -> None:
        if got > wanted:
            self.misses.append(f"{what} {got:.3g}, wanted at most {wanted:g}")


def percentile(times: Sequence[float], share: float) -> float:
    """The value that `share` of the sorted times do not exceed."""
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def spread(milliseconds: Sequence[float]) -> str:
    """Times as a table shows them."""
    middle = statistics.median(milliseconds)
    return (
        f"median {middle:.1f}, p99 {percentile(milliseconds, 0.99):.1f}, "
        f"longest {max(milliseconds):.1f} ms"
    )


def while_time(seconds: float) -> Iterator[float]:
    """Count up the seconds that have passed, until they are over."""
    begin = time.monotonic()
    while (passed := time.monotonic() - begin) < seconds:
        yield passed


def until(condition: Callable[[], object], patience: float = _PATIENCE) -> bool:
    """Poll until a condition holds; False if it never does, in a time that only a fault needs."""
    for _ in while_time(patience):
        if condition():
            return True
        time.sleep(0.002)
    return bool(condition())
