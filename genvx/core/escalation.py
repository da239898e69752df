"""How processes are ended: they are asked first, and killed if they are still there after a grace.

Which signals are due is decided here. Who gets them, and how, is decided where they are sent:
local/running/ending.py, local/running/supervise.py, local/runs/guests.py and
sandbox/processes.py.
"""

from __future__ import annotations

from signal import SIGCONT, SIGHUP, SIGKILL, SIGTERM
from typing import TYPE_CHECKING, Optional

from genvx.core.value import replace, value

if TYPE_CHECKING:
    from signal import Signals

# Seconds that processes have to end by themselves after they were asked.
GRACE = 10.0
# The most seconds between SIGTERM and SIGKILL when a grace has passed before SIGTERM.
_CLEANUP = 5.0


@value
class Step:
    """Signals for what is still there `after` so many seconds. again: they are sent anew until the
    next step, because a process may start another at any moment.
    """

    after: float
    signals: tuple[Signals, ...]
    again: bool = False


def politely(grace: float = GRACE) -> tuple[Step, ...]:
    """Ask; kill after the grace, in seconds."""
    # A shell with a person at it ignores TERM, and leaves at HUP. A stopped process receives
    # neither before CONT.
    return (Step(0, (SIGTERM, SIGHUP, SIGCONT)), Step(grace, (SIGKILL,), again=True))


def after_hangup(grace: float = GRACE) -> tuple[Step, ...]:
    """Ask what got HUP just now, after a grace; kill after another."""
    return (Step(grace, (SIGTERM,)), Step(2 * grace, (SIGKILL,), again=True))


def after_notice(grace: float = GRACE) -> tuple[Step, ...]:
    """The steps after a line on a terminal: SIGTERM after the grace, SIGKILL a little later."""
    first, last = politely(min(grace, _CLEANUP))
    return (replace(first, after=grace), replace(last, after=grace + last.after))


def due(
    steps: tuple[Step, ...], elapsed: float, before: Optional[float] = None
) -> tuple[Signals, ...]:
    """The signals to send `elapsed` seconds after the beginning.

    before: when this was asked last; None: never. Steps that were missed meanwhile are left out.
    """
    begun = [step for step in steps if step.after <= elapsed]
    if not begun:
        return ()
    step = begun[-1]
    return step.signals if step.again or before is None or before < step.after else ()
