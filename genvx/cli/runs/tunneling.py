"""genvx tunnel: opens a tunnel, says which port leads where, and waits for its end."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

from genvx.cli.ask.runs import located_parts, part_of
from genvx.cli.holds.inside import started
from genvx.core.runs.entry import ending_of, require_entry
from genvx.core.runs.runstate import is_over
from genvx.core.value import value
from genvx.errors import GenvxError, HostError, InvalidInput
from genvx.fleet.detaching.run import Run
from genvx.fleet.tunnels.forward import LOOPBACK, Forward
from genvx.fleet.tunnels.listening import Listening
from genvx.fleet.tunnels.tensorboard import TensorBoard
from genvx.fleet.tunnels.tunnel import Tunnel
from genvx.shown.console import INTERRUPTED, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genvx.cli.ask.where import Where
    from genvx.core.runs.runinfo import RunInfo

NO_PORT = "give a run and a port, such as: genvx remote tunnel 1 6006 (1 is the latest run)"
# The port here on which people expect TensorBoard.
_USUAL = 6006
# Seconds. It loads TensorFlow before it listens, if that is there.
_STARTS_WITHIN = 120.0
# Seconds in which it starts again after a cut.
_COMES_BACK = 30.0
_LOOK = 0.5
# Seconds within which the end of a run is known here: its processes end before it does.
_RUN_ENDS = 3.0


@value
class Wanted:
    """The options of genvx tunnel.

    patience: seconds to wait for the start of the run; None does not wait. logs: what TensorBoard
    reads; None: no TensorBoard.
    """

    forwards: tuple[Forward, ...]
    strict: bool
    bind: str | None
    node: int | None
    patience: float | None
    logs: str | None


def connect(where: Where, run: str, wanted: Wanted) -> int:
    """Keep a tunnel to a run open until the run is over, and return 0; 130 after Ctrl-C."""
    try:
        return _connect(where, run, wanted)
    except KeyboardInterrupt:
        where.note("the tunnel is closed; the run goes on")
        return INTERRUPTED


def _tell(line: str) -> None:
    say(f"genvx: {line}")


def _connect(where: Where, wanted_run: str, wanted: Wanted) -> int:
    with ExitStack() as stack:
        # Before anything is connected: a port that is taken costs no login.
        listening = Listening(wanted.forwards, strict=wanted.strict, bind=wanted.bind)
        stack.enter_context(listening)
        fleet: Any = stack.enter_context(where.remote_fleet())
        host, run = part_of(located_parts(where, fleet, wanted_run), wanted.node)
        if wanted.patience is not None:
            host, run = started(where, fleet, host, run, wanted.patience)
        _require(run)
        asked, board = list(wanted.forwards), None
        if not asked and wanted.logs is None:
            asked.append(_served(run))
            listening.add(asked[0], strict=wanted.strict)
        if wanted.logs is not None:
            board = stack.enter_context(TensorBoard(Run(host, run), wanted.logs))
            asked.append(Forward(_USUAL, board.port))
            listening.add(asked[-1])
        tunnel = stack.enter_context(Tunnel(host, run, listening, _tell))
        _show(where, f"run {run.label_or_id} on {host.name}", asked, listening)
        if board is not None:
            _show_board(where, tunnel, board)
        tunnel.wait()
        end = tunnel.end
    if end is not None:
        where.note(f"run {end.label_or_id} is over: {ending_of(end.state)}; the tunnel is closed")
    return 0


def _served(run: RunInfo) -> Forward:
    """The port on which a run serves. Raises InvalidInput if it serves on none."""
    port: int | None = getattr(run.state, "port", None)
    if port is None:
        raise InvalidInput(f"run {run.label_or_id} serves on no port that is known; {NO_PORT}")
    return Forward(port, port)


def _require(run: RunInfo) -> None:
    try:
        require_entry(run)
    except InvalidInput as error:
        if is_over(run.state):
            raise
        raise InvalidInput(f"{error}; with --wait the tunnel opens when it starts") from None


def _show(where: Where, run: str, asked: Sequence[Forward], listening: Listening) -> None:
    """Say what leads where."""
    address = f"[{listening.address}]" if ":" in listening.address else listening.address
    for wanted, got in zip(asked, listening.forwards, strict=True):
        if got.reverse:
            where.note(f"port {got.remote} of {run} leads to port {got.local} here")
        else:
            taken = "" if wanted.local == got.local else f" ({wanted.local} is taken here)"
            where.note(f"{address}:{got.local} leads to port {got.remote} of {run}{taken}")
    if listening.address not in LOOPBACK:
        where.note(f"all who reach this machine at {address} can use it")
    if sys.stdout.isatty():
        return
    for got in listening.forwards:
        if got.reverse:
            print(f"{got.remote} -> {LOOPBACK[0]}:{got.local}")
        else:
            print(f"{address}:{got.local} -> {got.remote}")
    sys.stdout.flush()


def _show_board(where: Where, tunnel: Tunnel, board: TensorBoard) -> None:
    """Say where TensorBoard is once it answers, and keep it up until the tunnel ends.

    Raises:
        GenvxError: it has ended by itself.
    """
    shown, again = False, 0.0
    end = time.monotonic() + _STARTS_WITHIN
    while not tunnel.wait(_LOOK):
        over = board.over
        if over is not None:
            # "": it has ended with a connection that was cut. Its port may not be free at once.
            again = time.monotonic() + _COMES_BACK if not over else again
            if time.monotonic() > again:
                if tunnel.wait(_RUN_ENDS):
                    return
                raise GenvxError(f"TensorBoard has ended: {over}")
            with suppress(HostError):
                if tunnel.connected:
                    board.restart()
        elif not shown and tunnel.answers(board.port):
            shown = True
            where.note(f"TensorBoard: http://localhost:{tunnel.forwards[-1].local}/")
        elif not shown and time.monotonic() > end:
            raise GenvxError(f"TensorBoard does not answer after {_STARTS_WITHIN:g} s")
