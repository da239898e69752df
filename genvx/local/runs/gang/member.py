"""A run's membership in a gang, as its supervisor has it: it starts when all do, and ends when one
of them fails.
"""

from __future__ import annotations

import math
from time import monotonic, sleep
from typing import TYPE_CHECKING, Union

from genvx.core.runs.runstate import Failed, Preparing, end_of, is_over
from genvx.core.value import replace
from genvx.core.wire.plain import Malformed
from genvx.errors import InvalidInput, StateError

if TYPE_CHECKING:
    from typing import Callable

    from genvx.core.runs.part import Part
    from genvx.core.runs.run import RunSpec
    from genvx.core.runs.runinfo import RunInfo
    from genvx.core.runs.runstate import RunState
    from genvx.core.wire.runoperations import DecideRun
    from genvx.local.machine import Machine
    from genvx.local.runs.gang.hub import Hub
    from genvx.local.runs.gang.link import Wakeups
    from genvx.local.runs.gang.spoke import Spoke
    from genvx.local.runs.record import RunDirectory

    Sleep = Callable[[float], None]

START, WITHDRAW = "start", "withdraw"
_LOOK = 1.0
_SOON = 0.02
# So long a supervisor may take to start its command, or to clear away what was withdrawn.
_DECIDED = 15.0


class Alone:
    """A run that is no part of a gang."""

    def look(self) -> bool:
        """Nobody else can fail."""
        return False

    def due(self) -> float:
        """Nothing is ever due."""
        return math.inf

    def ended(self, code: int) -> None:
        """Nobody has to know."""

    def linger(self, sleep: Sleep) -> None:
        """Nobody needs us."""

    def overall(self, state: RunState) -> RunState:
        """How all has ended: as this has."""
        return state


class Member:
    """One part among the others.

    say: writes a line into the log.

    Raises:
        StateError: node 0 cannot listen.
    """

    def __init__(
        self,
        spec: RunSpec,
        part: Part,
        directory: RunDirectory,
        wakeups: Wakeups,
        say: Callable[[str], object],
    ) -> None:
        try:
            self._meeting = directory.meeting()
        except Malformed as error:
            raise StateError(f"the gang of the run is not known: {error}") from None
        self._over = False
        self._part, self._directory, self._say = part, directory, say
        # Only here: few runs have parts, and a supervisor should be small.
        from genvx.local.runs.gang.hub import Hub
        from genvx.local.runs.gang.spoke import Spoke

        kind = Spoke if part.rank else Hub
        try:
            self._side: Union[Hub, Spoke] = kind(spec.id, part, self._meeting, wakeups, say)
        except OSError as error:
            raise StateError(f"cannot listen for the other parts: {error.strerror}") from None

    def meet(self, sleep: Sleep) -> None:
        """Connect to node 0, or listen for the others; say where that is, or that it failed."""
        side = self._side
        side.look()
        while not (side.linked or side.alone):
            sleep(_LOOK)
        if side.alone:
            place = f"{self._meeting.address}:{self._meeting.port}"
            self._say(
                f"cannot reach node 0 at {place} ({side.alone}): this part goes on alone, and does "
                "not end when another fails"
            )
        port = side.port or self._meeting.port
        self._directory.write_meeting(replace(self._meeting, port=port, linked=side.linked))

    def begin(self, sleep: Sleep, stopped: Callable[[], bool]) -> str:
        """Wait for the word that all start; return why it does not come, or nothing if it came.

        stopped: whether somebody has ended the run meanwhile.
        """
        # Node 0 decides for all that are connected to it, so the others wait longer than it does.
        end = monotonic() + self._meeting.patience * (2 if self._part.rank else 1)
        while True:
            if self._directory.decision() == WITHDRAW:
                why = "its client took it back"
            elif self._side.failed is not None:
                why = f"node {self._side.failed[1]} has ended"
            elif stopped():
                why = "it was stopped"
            elif monotonic() >= end and self._directory.decide(WITHDRAW) != START:
                why = "its client was gone before all parts were accepted"
            elif self._side.started or self._directory.decision() == START:
                self._directory.decide(START)
                self._side.go()
                return ""
            else:
                sleep(min(_LOOK, max(0.0, end - monotonic())))
                continue
            self.ended(1)
            self._say(f"never started: {why}")
            return f"never started: {why}"

    def look(self) -> bool:
        """Hear what others say; whether one of them has failed, so that our command is to end."""
        self._side.look()
        return self._side.failed is not None and not self._over

    def due(self) -> float:
        """Seconds until `look` must be called, if no signal comes before."""
        return self._side.due()

    def ended(self, code: int) -> None:
        """Tell the others that the command here has ended, and how."""
        self._over = True
        self._side.ended(code)

    def linger(self, sleep: Sleep) -> None:
        """Stay until nobody needs us any more: node 0 until the last part has ended."""
        while self._side.waits():
            sleep(_LOOK)
        self._side.close()

    def overall(self, state: RunState) -> RunState:
        """How the gang has ended, whose part here has ended so: as the first that failed."""
        failed, end = self._side.failed, end_of(state)
        if failed is None or end is None or failed[1] == self._part.rank:
            return state
        return Failed(state.since, replace(end, code=failed[0], signal=None))


def decide(host: Machine, asked: DecideRun) -> RunInfo:
    """Say to a part of a gang that it starts, or that it is withdrawn; return it as it is once it
    has started, or was before nothing is left of it.

    Raises:
        InvalidInput: it is no such part. UnknownRun, NotOwner: as RunCatalog.find.
    """
    from genvx.local.runs import lock
    from genvx.local.runs.catalog import RunCatalog
    from genvx.local.runs.withdrawal import wake

    catalog = RunCatalog(host)
    run = catalog.find(asked.run)
    if run.spec.part is None:
        raise InvalidInput(f"run {run.id} is no part of a gang")
    with catalog.open(run) as directory:
        decision = directory.decide(START if asked.start else WITHDRAW)
    uid, end = host.state.uid, monotonic() + _DECIDED
    wake(host, run)
    while isinstance(run.state, Preparing) and monotonic() < end:
        sleep(_SOON)
        run = catalog.find(run.id)
    if decision == WITHDRAW and is_over(run.state) and end_of(run.state) is None:
        # It may have heard of another part's withdrawal before; so what is left of it is deleted
        # here, once its supervisor does not write any more.
        while lock.supervision_of(host.state, uid, run.id) is not None and monotonic() < end:
            sleep(_SOON)
        catalog.discard(run)
    return run
