"""A command that runs when its turn comes."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

from genvx.local.turns import take_turn

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Callable

    from genvx.core.line.turn import Turn
    from genvx.local.machine import Machine


def run_in_turn(
    host: Machine,
    environment: str,
    command: Sequence[str],
    *,
    patience: float = math.inf,
    tell: Callable[[Turn], None] = lambda turn: None,
) -> int:
    """Run a command as its parent when its turn comes; return its exit code.

    For main threads only.

    Raises: as `take_turn`; CommandNotFound, CommandNotExecutable: it cannot be run.
    """
    from genvx.local.running import supervise
    from genvx.local.running.hold import find_command

    find_command(command, os.environ)
    turn = take_turn(host, environment, command=" ".join(command), patience=patience, tell=tell)
    try:
        return supervise.run(command, os.environ, lease=turn.descriptor)
    finally:
        turn.leave()
