"""What a sweep has found, for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genvx.core.value import value

if TYPE_CHECKING:
    from collections.abc import Mapping


@value
class Trial:
    """Trial is one set of parameters and what became of it.

    state: completed, failed, pruned or cancelled. value: its result; None without one. run: the id
    of its run; `Fleet.find_run` finds it. seconds: how long its command ran. why: of a failure.
    """

    number: int
    parameters: Mapping[str, Any]
    state: str
    value: float | None
    run: str
    host: str
    seconds: float | None
    why: str


@value
class Sweep:
    """Sweep is what a sweep has found. id: as `genvx sweeps show` takes it. why: it ended."""

    id: str
    trials: tuple[Trial, ...]
    ranked: tuple[Trial, ...]
    why: str

    @property
    def best(self) -> Trial | None:
        """The completed trial with the best value; None if none has one."""
        return self.ranked[0] if self.ranked else None
