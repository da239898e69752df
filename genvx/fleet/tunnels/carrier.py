"""The connections of a tunnel, all carried by one thread.

One thread for all: a pair of threads for each of many connections would cost more than what they
carry, and streams (ssh/forwarding.py) say when there is something to do. Besides this thread there
is that of paramiko's transport, which reads the SSH connection.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import selectors
import socket
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from genvx.core.limits import exhausted
from genvx.fleet.tunnels.bells import Bells
from genvx.fleet.tunnels.forward import LOOPBACK
from genvx.fleet.tunnels.pair import Pair, reset
from genvx.ssh.forwarding import NOT_CONNECTED, PROHIBITED

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.fleet.tunnels.forward import Forward
    from genvx.fleet.tunnels.listening import Listening
    from genvx.ssh.forwarding import Forwarder, Stream

# Seconds that a new connection waits while the host is being connected to again.
_WAITS = 15.0
# Connections that are being made; more wait in the kernel.
_MOST_ARRIVALS = 128
# Seconds without new connections when there are no descriptors for them.
_PAUSE = 0.5
# Seconds between two lines about the same thing.
_SELDOM = 30.0


class Carrier:
    """Carrier accepts connections here and on the host, and carries them.

    Its thread starts with `start`; all other methods may be called from any thread.

    listening: the sockets, which it closes. host: the name of the host. tell: called with a line
    for people.
    """

    def __init__(self, listening: Listening, host: str, tell: Callable[[str], object]) -> None:
        self._listening = listening
        self._host = host
        self._tell = tell
        self._told: dict[str, float] = {}
        self._forwarder: Forwarder | None = None
        self._stopped = False
        self._bells: Bells[Stream | None] = Bells()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._bells, selectors.EVENT_READ, self._heard)
        self._accepting = False
        self._paused_until = 0.0
        self._waiting: deque[_Arrival] = deque()
        self._opening: dict[Stream, _Arrival] = {}
        self._pairs: dict[Stream, Pair] = {}
        # Streams that the host opened, until our thread has taken them; then their sockets.
        self._taken: deque[tuple[Stream, Forward]] = deque()
        self._reaching: dict[socket.socket, Stream] = {}
        self._thread = threading.Thread(target=self._run, name="genvx tunnel", daemon=True)

    def start(self) -> None:
        """Begin to accept connections."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    def use(self, forwarder: Forwarder | None) -> None:
        """Open streams with this forwarder; with None connections wait for the next one."""
        self._forwarder = forwarder
        self._bells.ring(None)

    def take(self, forward: Forward, stream: Stream) -> None:
        """Carry a stream that the host has opened."""
        self._taken.append((stream, forward))
        self._bells.ring(None)

    def ring(self, stream: Stream) -> None:
        """Have the thread look at a stream."""
        self._bells.ring(stream)

    def close(self) -> None:
        """Close all connections, and stop listening. Idempotent."""
        self._stopped = True
        if self._thread.ident is None:
            self._end()
        else:
            self._bells.ring(None)
            self._thread.join()

    # What follows runs in the thread.

    def _run(self) -> None:
        try:
            self._accept_or_not()
            while not self._stopped:
                for key, _ in self._selector.select(self._patience()):
                    key.data()
                self._lead_waiting()
                self._accept_or_not()
        finally:
            self._end()

    def _end(self) -> None:
        self._listening.close()
        self._selector.close()
        for arrival in (*self._waiting, *self._opening.values()):
            reset(arrival.sock)
        for sock in self._reaching:
            sock.close()
        for pair in self._pairs.values():
            pair.close()
        for stream in (*self._opening, *self._reaching.values(), *(s for s, _ in self._taken)):
            stream.close()
        self._bells.close()

    def _patience(self) -> float | None:
        now = time.monotonic()
        ends = [arrival.until for arrival in self._waiting]
        if self._paused_until > now:
            ends.append(self._paused_until)
        return max(0.0, min(ends) - now) if ends else None

    def _accept_or_not(self) -> None:
        few = len(self._waiting) + len(self._opening) < _MOST_ARRIVALS
        wanted = few and time.monotonic() >= self._paused_until
        if wanted == self._accepting:
            return
        self._accepting = wanted
        for forward, sockets in self._listening.sockets.items():
            for sock in sockets:
                if wanted:
                    accept = functools.partial(self._accept, sock, forward)
                    self._selector.register(sock, selectors.EVENT_READ, accept)
                else:
                    self._selector.unregister(sock)

    def _accept(self, listener: socket.socket, forward: Forward) -> None:
        try:
            sock, _ = listener.accept()
        except OSError as error:
            # A connection that its peer has given up is no reason to stop. Without a free
            # descriptor the socket stays readable, and we would spin.
            if error.errno not in (errno.EAGAIN, errno.ECONNABORTED, errno.EINTR):
                self._paused_until = time.monotonic() + _PAUSE
                self._tell_seldom(exhausted(error) or f"cannot accept: {error.strerror}")
            return
        _prepare(sock)
        self._lead(_Arrival(sock, forward))

    def _lead(self, arrival: _Arrival) -> None:
        """Begin to open a stream for a connection; wait if there is no connection to the host."""
        forwarder = self._forwarder
        if forwarder is None or not forwarder.active:
            self._waiting.append(arrival)
            return
        stream = forwarder.open(arrival.addresses[0], arrival.forward.remote, self._bells.ring)
        self._opening[stream] = arrival
        if stream.refusal is not None:
            self._bells.ring(stream)

    def _lead_waiting(self) -> None:
        if not self._waiting:
            return
        now = time.monotonic()
        late = [arrival for arrival in self._waiting if arrival.until <= now]
        left = [arrival for arrival in self._waiting if arrival.until > now]
        self._waiting.clear()
        for arrival in late:
            reset(arrival.sock)
        for arrival in left:
            self._lead(arrival)

    def _heard(self) -> None:
        for stream in self._bells.take():
            if stream is None:
                continue
            if stream in self._opening:
                self._opened(stream)
            elif stream in self._pairs:
                self._advance(self._pairs[stream])
        while self._taken:
            stream, forward = self._taken.popleft()
            self._reach(stream, forward, LOOPBACK)

    def _opened(self, stream: Stream) -> None:
        if stream.refusal is None and not stream.opened:
            return
        arrival = self._opening.pop(stream)
        if stream.refusal is None:
            self._join(arrival.sock, stream)
            return
        stream.close()
        if stream.refusal == 0:
            # The connection has ended. Nothing was sent, so the next one may be tried.
            self._waiting.append(arrival)
        elif stream.refusal == NOT_CONNECTED and len(arrival.addresses) > 1:
            # As a client there would: a server may listen on one of both.
            arrival.addresses = arrival.addresses[1:]
            self._lead(arrival)
        else:
            reset(arrival.sock)
            self._tell_seldom(_why(stream.refusal, arrival.forward.remote, self._host))

    def _reach(self, stream: Stream, forward: Forward, addresses: tuple[str, ...]) -> None:
        """Connect to a port here, for a stream that the host has opened."""
        address, *others = addresses
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            stream.close()
            self._tell_seldom(exhausted(error) or f"cannot connect here: {error.strerror}")
            return
        _prepare(sock)
        if sock.connect_ex((address, forward.local)) not in (0, errno.EINPROGRESS):
            self._not_reached(sock, stream, forward, tuple(others))
            return
        self._reaching[sock] = stream
        reached = functools.partial(self._reached, sock, forward, tuple(others))
        self._selector.register(sock, selectors.EVENT_WRITE, reached)

    def _reached(self, sock: socket.socket, forward: Forward, others: tuple[str, ...]) -> None:
        stream = self._reaching.pop(sock)
        self._selector.unregister(sock)
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._not_reached(sock, stream, forward, others)
        else:
            self._join(sock, stream)

    def _not_reached(
        self, sock: socket.socket, stream: Stream, forward: Forward, others: tuple[str, ...]
    ) -> None:
        sock.close()
        if others:
            self._reach(stream, forward, others)
            return
        stream.close()
        self._tell_seldom(
            f"a connection came from port {forward.remote} of {self._host}, but nothing listens on "
            f"port {forward.local} here"
        )

    def _join(self, sock: socket.socket, stream: Stream) -> None:
        self._pairs[stream] = pair = Pair(sock, stream)
        self._advance(pair)

    def _advance(self, pair: Pair) -> None:
        if pair.stream not in self._pairs:
            return  # closed for what the selector said of its stream in the same moment
        events = pair.advance()
        # A socket with no events is not registered: the selector would still wake for its end, over
        # and over, as long as what was read before has not been taken.
        if (events or 0) != pair.registered:
            if pair.registered:
                self._selector.unregister(pair.sock)
            if events:
                data = functools.partial(self._advance, pair)
                self._selector.register(pair.sock, events, data)
            pair.registered = events or 0
        if events is None:
            del self._pairs[pair.stream]
            pair.close()
        elif pair.busy:
            self._bells.ring(pair.stream)

    def _tell_seldom(self, line: str) -> None:
        now = time.monotonic()
        if now >= self._told.get(line, 0.0):
            self._told[line] = now + _SELDOM
            self._tell(line)


class _Arrival:
    """A connection that has come in here, until a stream to the host is open for it.

    addresses: of the host's loopback, that are still to be tried.
    """

    def __init__(self, sock: socket.socket, forward: Forward) -> None:
        self.sock = sock
        self.forward = forward
        self.addresses: tuple[str, ...] = LOOPBACK
        self.until = time.monotonic() + _WAITS


def _prepare(sock: socket.socket) -> None:
    sock.setblocking(False)
    # Small pieces would wait for acknowledgements otherwise.
    with contextlib.suppress(OSError):  # its peer has gone already
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _why(refusal: int, port: int, host: str) -> str:
    if refusal == NOT_CONNECTED:
        return f"nothing listens on port {port} of {host} yet"
    if refusal == PROHIBITED:
        return forbidden(host)
    return f"{host} has no room for another connection to its port {port}"


def forbidden(host: str) -> str:
    """Return the message for a host whose SSH server refuses tunnels."""
    return (
        f"{host} forbids tunnels: see AllowTcpForwarding, PermitOpen and DisableForwarding in its "
        "sshd_config, and the options of your key in its authorized_keys"
    )
