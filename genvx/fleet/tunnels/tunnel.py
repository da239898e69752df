"""Tunnel: ports of a run's host that are ports here, until the run is over."""

from __future__ import annotations

import functools
import threading
import time
from typing import TYPE_CHECKING, Protocol

from genvx.core.block import Block
from genvx.core.runs.runstate import Held
from genvx.core.wire.runoperations import LogEnd, WatchRun
from genvx.errors import GenvxError, HostError, HostUnreachable, InvalidInput
from genvx.fleet.detaching import runs
from genvx.fleet.hosts.direct import require_direct
from genvx.fleet.tunnels.carrier import Carrier, forbidden
from genvx.ssh.apart import apart
from genvx.ssh.deadline import Deadline
from genvx.ssh.forwarding import PROHIBITED

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.core.runs.runinfo import RunInfo
    from genvx.fleet.detaching.runs import RunHost
    from genvx.fleet.hosts.hostspec import HostSpec
    from genvx.fleet.tunnels.forward import Forward
    from genvx.fleet.tunnels.listening import Listening
    from genvx.ssh.connections import Connections
    from genvx.ssh.forwarding import Forwarder, Stream, Use

    class ConnectedHost(RunHost, Protocol):
        """A host with runs to which connections lead."""

        @property
        def connections(self) -> Connections: ...

        @property
        def spec(self) -> HostSpec: ...

        @property
        def patience(self) -> float: ...


# How often a run that is kept after its command is asked whether it is over.
_LOOK = 3.0
# How often the host is asked to listen on a port that it still has for a connection that was cut.
_AGAIN = 2.0
# A port on which nothing listens: no server is disturbed by a question whether we may connect.
_NOBODY = 1


class Tunnel(Block):
    """Tunnel connects ports of this machine with ports of the host of a run.

    It ends with the run, or at `close`, or at the end of its block. A connection that is cut is
    made again; meanwhile new connections wait for a while.

    forwards: what it connects, with the ports that it got here. end: the run, once it is over.
    """

    def __init__(
        self,
        host: ConnectedHost,
        run: RunInfo,
        listening: Listening,
        tell: Callable[[str], object] = lambda line: None,
    ) -> None:
        """listening: the ports here; closed with the tunnel. tell: called with lines for people.

        Raises:
            InvalidInput: the host cannot listen on a port. HostError: it cannot be reached, or
            forbids it.
        """
        self.end: RunInfo | None = None
        self.forwards: tuple[Forward, ...] = listening.forwards
        self._host = host
        self._run = run
        self._tell = tell
        self._error: GenvxError | None = None
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._cut = False
        self._use: Use | None = None
        self._forwarder: Forwarder | None = None
        # Where the host listens for us, and on which connection.
        self._listens: dict[Forward, Forwarder] = {}
        self._tried = 0.0
        self._carrier = Carrier(listening, host.name, self._say)
        try:
            self._connect()
            self._require_permission()
            for each in self._missing:
                if not self._listen(each):
                    raise InvalidInput(_not_there(host.name, each.remote))
            self._carrier.start()
            threading.Thread(target=self._follow, name="genvx tunnel's run", daemon=True).start()
        except BaseException:
            self.close()
            raise

    def __repr__(self) -> str:
        there = self._host.name
        ports = (
            f"{there}:{each.remote} -> {each.local}"
            if each.reverse
            else f"{each.local} -> {there}:{each.remote}"
            for each in self.forwards
        )
        return f"<Tunnel {', '.join(ports)} of run {self._run.label_or_id}>"

    @property
    def port(self) -> int:
        """The port here, of the first forward."""
        return self.forwards[0].local

    @property
    def remote_port(self) -> int:
        """The port of the host, of the first forward."""
        return self.forwards[0].remote

    @property
    def reverse(self) -> bool:
        """Whether connections of the first forward come from the host."""
        return self.forwards[0].reverse

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self._ended.is_set()

    @property
    def connected(self) -> bool:
        """Whether the connection to the host is open, as far as is known."""
        return not self._cut and not self.closed

    def answers(self, remote: int) -> bool:
        """Whether something listens on a port of the host; connects to it to find out."""
        return self.connected and self._refusal(remote) is None

    @apart(moment=0.0)
    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has ended; return whether it has, within `timeout` seconds.

        Raises:
            HostError: it has ended because its host could not be reached any more.
        """
        over = self._ended.wait(timeout)
        if over and self._error is not None:
            raise self._error
        return over

    @apart()
    def close(self) -> None:
        """Close all its connections, and stop listening. Idempotent."""
        self._stop.set()
        # First, so that the host opens no stream that nobody takes.
        self._leave_connection()
        self._carrier.close()
        self._ended.set()

    def _leave(self) -> None:
        self.close()

    def _say(self, line: str) -> None:
        if not self._stop.is_set():
            self._tell(line)

    # The connection

    def _connect(self) -> None:
        require_direct(self._host.spec, "tunnels")
        with Deadline(self._host.patience) as deadline:
            forwarder = self._host.connections.link(deadline).forwarder
        if self._use is not None:
            self._use.closed = True
        self._use = forwarder.use()
        self._forwarder = forwarder
        self._carrier.use(forwarder)

    def _require_permission(self) -> None:
        """Raise HostError if the server forbids what connections here would need."""
        wanted = next((each for each in self.forwards if not each.reverse), None)
        if wanted is None or self._refusal(_NOBODY) != PROHIBITED:
            return
        # Only some ports may be allowed (PermitOpen): there is no other way than to try one.
        if self._refusal(wanted.remote) == PROHIBITED:
            raise HostError(forbidden(self._host.name), kind="forbidden")

    @apart()
    def _refusal(self, port: int) -> int | None:
        """Why the host does not connect to a port of its loopback; None if it does."""
        assert self._forwarder is not None, "connected"
        answered = threading.Event()
        stream = self._forwarder.open("127.0.0.1", port, lambda stream: answered.set())
        end = time.monotonic() + self._host.patience
        while not stream.opened and stream.refusal is None and time.monotonic() < end:
            answered.wait(max(0.0, end - time.monotonic()))
            answered.clear()
        stream.close()
        return stream.refusal if stream.opened or stream.refusal is not None else 0

    @property
    def _missing(self) -> list[Forward]:
        """The ports of the host on which it should listen, and does not."""
        wanted = [each for each in self.forwards if each.reverse]
        return [each for each in wanted if self._listens.get(each) is not self._forwarder]

    def _listen(self, forward: Forward) -> bool:
        assert self._forwarder is not None, "connected"
        take: Callable[[Stream], object] = functools.partial(self._carrier.take, forward)
        with Deadline(self._host.patience) as deadline:
            if not self._forwarder.listen(forward.remote, take, self._carrier.ring, deadline):
                if deadline.expired:
                    raise HostUnreachable(
                        f"{self._host.name} does not say whether it listens on its port "
                        f"{forward.remote}",
                        kind="timeout",
                    )
                return False
        self._listens[forward] = self._forwarder
        return True

    def _leave_connection(self) -> None:
        if self._use is not None:
            self._use.closed = True
        # Taken out, for we may be closed twice, and the port may be that of another tunnel by then.
        while self._listens:
            forward, forwarder = self._listens.popitem()
            forwarder.unlisten(forward.remote)

    # The run

    def _follow(self) -> None:
        try:
            run = self._watch(WatchRun(self._run.id, log=False))
            while run is not None and isinstance(run.state, Held) and run.spec.hold is not None:
                if self._pause(_LOOK):
                    return
                run = self._watch(WatchRun(self._run.id, log=False, follow=False))
            self.end = run
        except GenvxError as error:
            if not self._stop.is_set():
                self._error = error
        finally:
            self.close()

    def _watch(self, asked: WatchRun) -> RunInfo | None:
        """Watch the run; return it as it is at the end, None if we have stopped."""
        for news in runs.watch(self._host, asked, self._lost, self._pause):
            if self._cut:
                self._back()
            if isinstance(news, LogEnd):
                return news.run
        return None

    def _lost(self, line: str) -> None:
        if not self._cut:
            self._cut = True
            self._carrier.use(None)
            self._say(line)

    def _back(self) -> None:
        try:
            self._connect()
        except HostError:
            return  # cut again: the watching finds out, too
        self._say(f"{self._host.name}: connected again")
        self._cut = False
        self._tried = 0.0
        self._restore()

    def _restore(self) -> None:
        """Have the host listen again where it did before the connection was cut."""
        if time.monotonic() < self._tried + _AGAIN:
            return
        first, self._tried = not self._tried, time.monotonic()
        for each in self._missing:
            listens = self._listen(each)
            if first and not listens:
                # The server may not know yet that the old connection is gone.
                self._say(f"{_not_there(self._host.name, each.remote)}; trying again")
            elif listens and not first:
                self._say(f"{self._host.name} listens on its port {each.remote} again")

    def _pause(self, seconds: float) -> bool:
        """Wait; return whether to stop."""
        if not self._stop.is_set():
            active = self._forwarder is not None and self._forwarder.active
            if not active and not self._cut:
                self._lost(f"{self._host.name}: the connection was cut; connecting again")
            elif not active and not seconds:
                self._back()  # the run is watched through another connection, which is open
            elif not self._cut:
                self._restore()
        return self._stop.wait(seconds) or not self._carrier.alive


def _not_there(host: str, port: int) -> str:
    why = "another program has it" if port > 1023 else "another program has it, or only root may"
    return (
        f"{host} cannot listen on its port {port}: {why}, or its sshd_config forbids it "
        "(AllowTcpForwarding, PermitListen)"
    )
