"""How large a benchmark is: as for docs/performance.md, or its smallest form, which only shows that
it still works.
"""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T")

_VARIABLE = "BENCH_SMALLEST"


def choose_smallest() -> None:
    """Have every part in its smallest form, also in the processes that we start."""
    os.environ[_VARIABLE] = "1"


def smallest() -> bool:
    """Whether parts are to be in their smallest form. Their numbers mean nothing."""
    return _VARIABLE in os.environ


def sized(usual: T, least: T) -> T:
    """The usual number, or the least."""
    return least if smallest() else usual
