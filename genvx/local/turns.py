"""Turns on devices that several environments share: one at a time, in the order of arrival.

This is Lamport's bakery algorithm, with files for each waiting process in its user's directory. A
process announces that it is choosing, takes a number above all that it sees, and waits for those
with smaller numbers and for those that are choosing at that moment. A turn lives while a process
holds the lock of its file, so nobody waits for a dead process. No file is ever overwritten, and
nobody waits for a process that does not hold a shared device.
"""

from __future__ import annotations

import math
import os
from time import monotonic
from typing import TYPE_CHECKING, Optional

from genvx.core.line.turn import LAST, Turn
from genvx.core.quantities.ages import format_duration
from genvx.core.text import COMMAND_LIMIT, printable
from genvx.core.value import replace
from genvx.errors import InvalidInput, StateError, WaitedTooLong
from genvx.local import processes, waiting
from genvx.local.state.turnkinds import CHOOSING, TURN
from genvx.local.state.userdirectory import MOST_OF_A_KIND
from genvx.local.turnstate import living_turns, publish_turn, rivals_of

if TYPE_CHECKING:
    from typing import Callable

    from genvx.local.machine import Machine
    from genvx.local.state.heldfile import HeldFile
    from genvx.local.waiting import Stop

_SOON, _LATER = 0.05, 0.5


def take_turn(
    host: Machine,
    environment: str,
    *,
    command: str = "",
    patience: float = math.inf,
    tell: Callable[[Turn], None] = lambda turn: None,
    stop: Optional[Stop] = None,
    most: int = MOST_OF_A_KIND,
) -> HeldFile:
    """Wait until it is our turn on the devices of an environment of our own.

    The turn lasts until the returned file is let go, by us and by all that inherit its descriptor.

    patience: the most seconds to wait. tell: called with the turn that we wait for, whenever that
    changes. stop: ends the waiting when it is set, such as a threading.Event. most: commands of
    ours that may take turns here at once.

    Raises:
        UnknownEnvironment: one has no environment of that id. InvalidInput: it has no devices.
        WaitedTooLong: it was not our turn in time. StateError: the state cannot be written, too
        many processes of one's own wait already, or somebody has taken the last possible number.
    """
    devices = host.mine(environment).devices
    if not devices:
        raise InvalidInput(f"environment {environment} has no GPUs to take turns on")
    mine = Turn(
        id=os.urandom(8).hex(),
        owner=processes.owner_of(host.state.uid),
        environment_id=environment,
        devices=devices,
        pid=os.getpid(),
        command=printable(command, COMMAND_LIMIT),
    )
    end = monotonic() + patience
    if sum(turn.owner == mine.owner for turn in living_turns(host, mine)) >= most:
        raise StateError(
            f"{most} commands of yours take turns on this machine already, and more "
            "might not be seen; wait for some of them to end"
        )
    choosing = publish_turn(host, mine, CHOOSING)
    try:
        last = max(rivals_of(host, mine), key=lambda turn: turn.number, default=mine)
        if last.number >= LAST:
            raise StateError(
                f"no turn can follow that of {last}: its number is the last; it must end first"
            )
        mine = replace(mine, number=last.number + 1)
        held = publish_turn(host, mine, TURN)
    finally:
        choosing.withdraw()  # only now: at each moment one of our two files exists
    try:
        if not any(turn.id == mine.id for turn in living_turns(host, mine)):
            # Others cannot see our turn, so they would not wait for us.
            raise StateError(
                f"no turn was taken: {held.path} is not seen by others; 'genvx doctor' may say why"
            )
        told: Optional[Turn] = None
        pause = _SOON
        while True:
            before = [t for t in rivals_of(host, mine) if not t.number or t.order < mine.order]
            if not before:
                return held
            first = min(before, key=lambda turn: turn.order)
            if monotonic() >= end:
                raise WaitedTooLong(
                    f"no turn on the GPUs within {format_duration(patience)}: {first} has it"
                )
            if first.number and (told is None or told.id != first.id):
                told = first
                tell(first)
            if waiting.pause(min(pause, max(0.0, end - monotonic())), stop):
                raise WaitedTooLong("the waiting was ended")
            pause = min(pause * 1.5, _LATER)
    except BaseException:
        held.withdraw()
        raise
