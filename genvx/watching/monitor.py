"""The monitor: round after round it asks a fleet, shows what it sees, and remembers it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from genvx.core.text import printable
from genvx.errors import kind_of
from genvx.watching.rounds import Rounds

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.fleet.ask import HostGroup
    from genvx.fleet.host import Host
    from genvx.watching.board import Board
    from genvx.watching.history.recorder import Recorder
    from genvx.watching.sight import Sight

# Seconds between two questions about runs: their records say themselves when they began and ended.
_RUNS_EVERY = 60.0


class Monitor:
    """The monitor of a fleet.

    every: seconds from the begin of a round to that of the next; a round that takes longer delays
    the next. recorder: writes the history; None for none. publish: called after each round. tell:
    gets a line when a host fails, and when it answers again. seen: called with each look at a host.
    """

    def __init__(
        self,
        fleet: HostGroup[Host],
        board: Board,
        every: float,
        *,
        recorder: Recorder | None = None,
        publish: Callable[[], object] = lambda: None,
        tell: Callable[[str], object] = lambda line: None,
        seen: Callable[[Sight], object] = lambda sight: None,
    ) -> None:
        self._rounds = Rounds(fleet)
        self._board = board
        self._every = every
        self._recorder = recorder
        self._publish = publish
        self._tell = tell
        self._seen = seen
        self._down: dict[str, str] = {}
        self._runs_asked: float | None = None

    def run(self) -> None:
        """Go on until an exception, such as that of a signal."""
        due = time.monotonic()
        while True:
            self.round()
            # A round that was late is made up for by no second one.
            due = max(due + self._every, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))

    def round(self) -> None:
        """Ask all hosts once."""
        begun = time.monotonic()
        sights = []
        for sight in self._rounds.round():
            # At once: one host that is slow must not delay what is shown of the others.
            self._board.show(sight)
            self._note(sight)
            self._seen(sight)
            sights.append(sight)
        history = self._record(sights)
        self._board.end_round(
            time.monotonic() - begun,
            answered=any(sight.snapshot is not None for sight in sights),
            history=history,
        )
        self._publish()

    def _record(self, sights: list[Sight]) -> bool | None:
        if self._recorder is None:
            return None
        now, runs = time.monotonic(), {}
        if self._runs_asked is None or now - self._runs_asked >= _RUNS_EVERY:
            self._runs_asked = now
            runs = self._rounds.runs()
        return self._recorder.take(sights, runs)

    def _note(self, sight: Sight) -> None:
        if sight.error is not None:
            kind = kind_of(sight.error)
            if self._down.get(sight.host) != kind:
                self._tell(f"{sight.host}: {kind}: {printable(str(sight.error), 300)}")
            self._down[sight.host] = kind
        elif self._down.pop(sight.host, None) is not None:
            self._tell(f"{sight.host} answers again")
