"""Runs on a host over SSH: how they are started, and what comes of them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, TypeVar

from genvx.core.value import replace
from genvx.errors import InvalidInput, StateError, TreeMissing
from genvx.fleet.offer import asked_of, within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from genvx.core.runs.run import RunSpec
    from genvx.core.runs.runinfo import RunInfo
    from genvx.core.wire.operation import Operation
    from genvx.core.wire.runoperations import LogNews, WatchRun
    from genvx.core.wire.viewoperation import ViewRun
    from genvx.fleet.caller import Caller
    from genvx.fleet.detaching.followed import Views
    from genvx.fleet.detaching.series import Series
    from genvx.fleet.hosts.hostspec import HostSpec

R = TypeVar("R")

MOST_PATIENCE = 10 * 365 * 86400.0
# So long a supervisor may take to look at the devices before it says that its run waits or runs.
_ACCEPTANCE = 20.0


class HostRuns:
    """A host over SSH that has runs."""

    _caller: Caller

    if TYPE_CHECKING:

        @property
        def spec(self) -> HostSpec: ...

        @property
        def patience(self) -> float: ...

        def answer(self, operation: Operation[R], *, patience: float = 0.0) -> R: ...

    def watch(self, asked: WatchRun, pause: Callable[[float], bool]) -> Iterator[LogNews]:
        """How a run there is, and its log as it grows; see followed.watched."""
        from genvx.fleet.detaching.followed import watched

        return watched(self._caller, asked, pause)

    def view(self, asked: ViewRun, pause: Callable[[float], bool]) -> Iterator[Views]:
        """How a run there is until it has begun, then its terminal; see followed.viewed."""
        from genvx.fleet.detaching.followed import viewed

        return viewed(self._caller, asked, pause)

    def submit(
        self, spec: RunSpec, *, patience: float | None = None, tags: tuple[str, ...] = ()
    ) -> RunInfo:
        """Start a run there that outlives the connection; returns once it waits or runs.

        Raises: as `acquire`, or with patience as `wait`. What the host refuses names it.
        """
        from genvx.core.wire.runoperations import SubmitRun

        ours, most = self._asked(spec, patience)
        try:
            return self.answer(SubmitRun(ours, most, tags), patience=_ACCEPTANCE)
        except TreeMissing:
            raise
        except (InvalidInput, StateError) as error:
            raise type(error)(f"{self.spec.name}: {error}") from None

    def submit_and_watch(
        self,
        spec: RunSpec,
        pause: Callable[[float], bool],
        *,
        reports: bool = False,
        patience: float | None = None,
        tags: tuple[str, ...] = (),
    ) -> tuple[RunInfo, Iterator[LogNews]]:
        """Start a run as `submit` does; return also what `watch` would yield of it.

        The next run of this kind needs no new agent, which is most of what a short run costs.
        """
        from genvx.core.wire.runoperations import SubmitAndWatch

        ours, most = self._asked(spec, patience)
        return self._series.begin(SubmitAndWatch(ours, most, tags, reports), _ACCEPTANCE, pause)

    @functools.cached_property
    def _series(self) -> Series:
        from genvx.fleet.detaching.series import Series

        return Series(self._caller, self.patience)

    def _asked(self, spec: RunSpec, patience: float | None) -> tuple[RunSpec, float | None]:
        """What the host is asked, and how long at most a run may wait there."""
        ours = asked_of(self.spec, spec)
        ours = replace(ours, requirements=within(self.spec, spec.requirements))
        return ours, None if patience is None else min(patience, MOST_PATIENCE)
