"""genvx serve: starts a run that serves, waits until it answers, and keeps a tunnel to it."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

from genvx.cli.holds.inside import started
from genvx.cli.runs.detach import beginning, submitted
from genvx.core.runs.entry import ending_of
from genvx.core.runs.run import MOST_PATIENCE
from genvx.core.runs.runstate import Running, end_of, is_over
from genvx.core.wire.runoperations import ShowRun
from genvx.errors import GenvxError
from genvx.fleet.serving import answers
from genvx.fleet.tunnels.forward import LOOPBACK, Forward
from genvx.fleet.tunnels.listening import Listening
from genvx.fleet.tunnels.tunnel import Tunnel
from genvx.shown.console import INTERRUPTED, say

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.cli.ask.request import Request
    from genvx.cli.ask.where import Where
    from genvx.cli.runs.detach import Detach
    from genvx.core.runs.runinfo import RunInfo

# How often it is asked whether it answers yet, in seconds.
_LOOK = 0.3
# After so long without an answer, people are told where its output is.
_LONG = 20.0
_LOG_LINES = 10


def serve(
    where: Where,
    request: Request,
    command: list[str],
    asked: Detach,
    local: int | None,
    *,
    leave: bool,
    json: bool = False,
) -> int:
    """Start the run, print its address once it answers, and keep a tunnel to it until it is over.

    Return the exit code: 0, 1 if it failed, 130 after Ctrl-C, which leaves it running.

    local: the port of this machine that leads to it. leave: print its id once it
    answers, and return. json: print the run and its address as JSON instead.
    """
    from genvx.fleet.shipping.reading import until_unchanged

    if local is not None:
        # Refused before anything is started; it is listened on once the server answers.
        Listening([Forward(local, local)], strict=True).close()
    return until_unchanged(
        lambda: _serve(where, request, command, asked, local, leave=leave, json=json), where.note
    )


def _serve(
    where: Where,
    request: Request,
    command: list[str],
    asked: Detach,
    local: int | None,
    *,
    leave: bool,
    json: bool,
) -> int:
    with ExitStack() as stack:
        fleet, parts = stack.enter_context(submitted(where, request, command, asked))
        host, run = parts[0]
        place = f" on {host.name}" if where.remote else ""
        where.note(f"run {run.label_or_id}{place} {beginning(run)}")
        try:
            host, run = started(where, fleet, host, run, MOST_PATIENCE)
            while not isinstance(run.state, Running):
                _require_life(where, host, run)
                time.sleep(_LOOK)
                run = _look(host, run)
            return _Served(where, host, run, stack, json=json).keep(local, leave=leave)
        except KeyboardInterrupt:
            say(f"genvx: run {run.label_or_id} goes on; {_ways(where, run)}")
            return INTERRUPTED


class _Served:
    """A run that serves, and the way to it from here."""

    def __init__(
        self, where: Where, host: Any, run: RunInfo, stack: ExitStack, *, json: bool
    ) -> None:
        service, port = run.spec.service, getattr(run.state, "port", None)
        assert service is not None
        assert port is not None, "it runs, so its port is chosen"
        self._where = where
        self._host = host
        self._run = run
        self._stack = stack
        self._json = json
        self._ready = service.ready
        self._there: int = port
        self._here: int = port
        self._tunnel: Tunnel | None = None

    def keep(self, local: int | None, *, leave: bool) -> int:
        """Wait until it answers, and print its address; then until it is over, or return at once
        if it is to be left or is on this machine.
        """
        self._await(local)
        where, run, tunnel = self._where, self._run, self._tunnel
        if tunnel is None or leave:
            where.note(f"run {run.label_or_id} answers; {_ways(where, run)}")
            # One that listens on loopback of its host has no address here: a tunnel leads to it.
            self._print(self._there if tunnel is None else None)
            return 0
        where.note(f"run {run.label_or_id} answers; Ctrl-C closes the tunnel and leaves it running")
        self._print(self._here)
        tunnel.wait()
        if tunnel.end is None:
            return 0
        where.note(f"run {run.label_or_id} is over: {ending_of(tunnel.end.state)}")
        return 0 if _ended_well(tunnel.end) else 1

    def _print(self, port: int | None) -> None:
        """Print its address; port: of this machine, None if there is none, only a run."""
        address = None if port is None else f"http://localhost:{port}/"
        if not self._json:
            print(address or self._run.id, flush=True)
            return
        from genvx.cli.schema.runs import plain_act, print_acts

        act = plain_act(self._host.name, "started", _look(self._host, self._run))
        print_acts("serve", [act], url=address)
        # Programs read it while the tunnel is open.
        sys.stdout.flush()

    def _await(self, local: int | None) -> None:
        """Wait until it answers, and open the tunnel.

        Raises:
            GenvxError: it is over.
        """
        if not self._where.remote:
            self._until(lambda: answers(LOOPBACK[0], self._there, self._ready))
            return
        # First without a port here: where client and host are one machine, we would take the port
        # that the command is about to listen on.
        with Listening(()) as none, Tunnel(self._host, self._run, none, self._where.note) as probe:
            self._tunnel = probe
            self._until(lambda: probe.answers(self._there))
        forward = Forward(local or self._there, self._there)
        listening = self._stack.enter_context(Listening([forward], strict=local is not None))
        tunnel = Tunnel(self._host, self._run, listening, self._where.note)
        self._tunnel = self._stack.enter_context(tunnel)
        self._here = tunnel.port
        if self._ready:
            self._until(lambda: answers(LOOPBACK[0], self._here, self._ready))

    def _until(self, ready: Callable[[], bool]) -> None:
        told = time.monotonic() + _LONG
        while not ready():
            if self._tunnel is None:
                time.sleep(_LOOK)
                _require_life(self._where, self._host, _look(self._host, self._run))
            elif self._tunnel.wait(_LOOK):
                run = self._tunnel.end or _look(self._host, self._run)
                _require_life(self._where, self._host, run)
            if time.monotonic() > told:
                told = float("inf")
                self._where.note(
                    f"port {self._there} does not answer yet; "
                    f"{self._where.typed} logs {self._run.id} shows its output so far"
                )


def _look(host: Any, run: RunInfo) -> RunInfo:
    found: RunInfo = host.answer(ShowRun(run.id, 0)).run
    return found


def _ended_well(run: RunInfo) -> bool:
    end = getattr(run.state, "end", None)
    return end is not None and end.exit_code == 0


def _require_life(where: Where, host: Any, run: RunInfo) -> None:
    """Raise GenvxError if a run is over before it has answered; show the end of its output."""
    if not is_over(run.state):
        return
    # Of a command that has not begun, the log says what its state says, too.
    if end_of(run.state) is not None:
        with suppress(GenvxError):
            tail = host.answer(ShowRun(run.id, _LOG_LINES)).tail
            for line in tail.splitlines():
                say(f"  {line}")
    raise GenvxError(
        f"run {run.label_or_id} is over before it has answered: {ending_of(run.state)}; "
        f"{where.typed} logs {run.id} shows its output"
    )


def _ways(where: Where, run: RunInfo) -> str:
    """What people can type for a server that goes on."""
    again = f"{where.typed} tunnel {run.id} leads to it, " if where.remote else ""
    return f"{again}{where.typed} runs stop {run.id} ends it"
