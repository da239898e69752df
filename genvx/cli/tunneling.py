"""A tunnel as a person has it: what leads where, and how it ends."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from genvx.cli.ask.runs import located_parts
from genvx.core.runs.entry import ending_of, require_entry
from genvx.core.runs.runinfo import LogPiece, RunInfo
from genvx.core.runs.runstate import Preparing, Waiting
from genvx.core.value import value
from genvx.core.wire.runoperations import LogEnd, WatchRun
from genvx.errors import GenvxError, InvalidInput, WaitedTooLong
from genvx.fleet.detaching import runs
from genvx.fleet.detaching.run import Run
from genvx.fleet.tunnels.forward import LOOPBACK, Forward
from genvx.fleet.tunnels.listening import Listening
from genvx.fleet.tunnels.tensorboard import TensorBoard
from genvx.fleet.tunnels.tunnel import Tunnel
from genvx.shown.console import INTERRUPTED, say

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from genvx.cli.ask.where import Where

# The port here on which people expect TensorBoard.
_USUAL = 6006
# Seconds. It loads TensorFlow before it listens, if that is there.
_STARTS_WITHIN = 120.0
_LOOK = 0.5


@value
class Wanted:
    """What somebody wants of a tunnel.

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
    """Have a tunnel to a run until that is over, and return 0; 130 after Ctrl-C."""
    try:
        return _connect(where, run, wanted)
    except KeyboardInterrupt:
        where.note("the tunnel is closed; the run goes on")
        return INTERRUPTED


def _connect(where: Where, wanted_run: str, wanted: Wanted) -> int:
    with ExitStack() as stack:
        # Before anything is connected: a port that is taken costs no login.
        listening = Listening(wanted.forwards, strict=wanted.strict, bind=wanted.bind)
        stack.enter_context(listening)
        fleet = stack.enter_context(where.remote_fleet())
        host, run = _part(located_parts(where, fleet, wanted_run), wanted.node)
        if wanted.patience is not None:
            run = _started(where, host, run, wanted.patience)
        require_entry(run)
        asked, board = list(wanted.forwards), None
        if wanted.logs is not None:
            board = stack.enter_context(TensorBoard(Run(host, run), wanted.logs))
            asked.append(Forward(_USUAL, board.port))
            listening.add(asked[-1])
        tell: Callable[[str], object] = lambda line: say(f"genvx: {line}")  # noqa: E731
        tunnel = stack.enter_context(Tunnel(host, run, listening, tell))
        _show(where, f"run {run.label_or_id} on {host.name}", asked, listening)
        if board is not None:
            _show_board(where, tunnel, board)
        tunnel.wait()
        end = tunnel.end
    if end is not None:
        where.note(f"run {end.label_or_id} is over: {ending_of(end.state)}; the tunnel is closed")
    return 0


def _part(parts: Sequence[tuple[Any, RunInfo]], node: int | None) -> tuple[Any, RunInfo]:
    """The part that is meant, and its host; the first one by default."""
    if node is None:
        return parts[0]
    for host, run in parts:
        if node == (0 if run.spec.part is None else run.spec.part.rank):
            return host, run
    raise InvalidInput(f"run {parts[0][1].label_or_id} has no node {node}, or it was not found")


def _started(where: Where, host: Any, run: RunInfo, patience: float) -> RunInfo:
    """Wait until a run has started, and say for what it waits; return it as it is then."""
    end, told = time.monotonic() + patience, ""

    def pause(seconds: float) -> bool:
        left = end - time.monotonic()
        if seconds:
            time.sleep(max(0.0, min(seconds, left)))
        return left <= 0

    for news in runs.watch(host, WatchRun(run.id, log=False), where.note, pause):
        if isinstance(news, LogPiece):
            continue
        run = news.run if isinstance(news, LogEnd) else news
        state = run.state
        if not isinstance(state, (Waiting, Preparing)):
            return run
        if isinstance(state, Waiting):
            line = f"run {run.label_or_id} waits in line on {host.name}: place {state.place}"
            line += f" ({state.reason})" if state.reason else ""
            if line != told:
                told = line
                where.note(line)
    raise WaitedTooLong(f"run {run.label_or_id} has not started in time, and waits on")


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
    shown = False
    end = time.monotonic() + _STARTS_WITHIN
    while not tunnel.wait(_LOOK):
        over = board.over
        if over:
            raise GenvxError(f"TensorBoard has ended: {over}")
        if over is not None:
            # It has ended with a connection that was cut.
            if tunnel.connected:
                board.restart()
        elif not shown and tunnel.answers(board.port):
            shown = True
            where.note(f"TensorBoard: http://localhost:{tunnel.forwards[-1].local}/")
        elif not shown and time.monotonic() > end:
            raise GenvxError(f"TensorBoard does not answer after {_STARTS_WITHIN:g} s")
