"""The link between the nodes of a cluster, and from who holds it to its node 0.

Both sides prove that they know the secret of the cluster, which is not sent, and after that each
line is proved. Who is between the two, such as another user who had the port of node 0 before it
had it, can read what is said and cut the link, and cannot say a word.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from genvx.engines.onhost.life import Failure

if TYPE_CHECKING:
    from collections.abc import Callable

# Seconds. Clients and members send a line each BEAT; whoever is silent for longer is gone.
SILENCE = 60.0
BEAT = 5.0
# A peer that does not introduce itself so soon is none.
GREET_WITHIN = 10.0
# How long a member tries to reach node 0: all nodes start at the same time.
JOIN_WITHIN = 60.0
_MOST_LINE = 64 * 1024
_TO_HEAD, _FROM_HEAD = "to-head", "from-head"


class Unproved(ConnectionError):
    """A line came that is not of one who knows the secret, or not in its place."""


class Link:
    """A connection between node 0 and a member or a client: lines of JSON."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._file = sock.makefile("rb")
        self._lock = threading.Lock()
        self._secret: str | None = None
        self._nonces = self._ours = self._theirs = ""
        self._sent = self._read = 0

    def prove(self, secret: str, nonces: str, ours: str, theirs: str) -> None:
        """From now on each line has a proof. nonces: random, of this link. ours, theirs: the
        direction of a line.
        """
        self._secret, self._nonces, self._ours, self._theirs = secret, nonces, ours, theirs

    def send(self, **message: Any) -> None:
        """Send a message; one to a peer that is gone is lost, as its end is seen by who reads."""
        text = json.dumps(message)
        with self._lock, contextlib.suppress(OSError):
            if self._secret is not None:
                text = f"{self._proof(self._ours, self._sent, text)} {text}"
                self._sent += 1
            self.sock.sendall(text.encode() + b"\n")

    def read(self) -> dict[str, Any]:
        """Return the next message; an empty one is a sign of life. Raises OSError at the end."""
        line = self._file.readline(_MOST_LINE)
        if not line.endswith(b"\n"):
            raise ConnectionError("the other end is gone")
        text = line[:-1].decode(errors="replace")
        if self._secret is not None:
            proof, _, text = text.partition(" ")
            # As bytes: compare_digest raises for other letters than those of ASCII.
            wanted = self._proof(self._theirs, self._read, text).encode()
            if not hmac.compare_digest(wanted, proof.encode(errors="replace")):
                raise Unproved("it does not know the secret")
            self._read += 1
        try:
            found = json.loads(text)
        except ValueError:
            raise ConnectionError("the other end does not speak the protocol of genvx") from None
        return found if isinstance(found, dict) else {}

    def close(self) -> None:
        """End it: whoever reads from it sees that."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def _proof(self, direction: str, number: int, text: str) -> str:
        assert self._secret is not None
        # Neither a line of another link, nor of the other direction, nor one twice.
        what = f"{direction} {number} {self._nonces} {text}".encode(errors="replace")
        return hmac.new(self._secret.encode(), what, hashlib.sha256).hexdigest()


def greet(link: Link, secret: str, **hello: Any) -> None:
    """Introduce ourselves on a new link to node 0. Raises OSError unless it is node 0."""
    theirs = _nonce(link.read())
    ours = os.urandom(16).hex()
    link.prove(secret, theirs, _TO_HEAD, _FROM_HEAD)
    link.send(nonce=ours, **hello)
    link.prove(secret, f"{theirs} {ours}", _TO_HEAD, _FROM_HEAD)
    try:
        link.read()
    except Unproved:
        raise ConnectionError("something else listens there") from None


def welcome(link: Link, secret: str) -> dict[str, Any]:
    """Have a peer introduce itself; raise OSError unless it knows the secret."""
    ours = os.urandom(16).hex()
    link.send(nonce=ours)
    link.prove(secret, ours, _FROM_HEAD, _TO_HEAD)
    hello = link.read()
    link.prove(secret, f"{ours} {_nonce(hello)}", _FROM_HEAD, _TO_HEAD)
    link.send()
    return hello


def _nonce(said: dict[str, Any]) -> str:
    nonce = said.get("nonce")
    if type(nonce) is not str or len(nonce) != 32 or not nonce.isalnum():
        raise ConnectionError("the other end does not speak the protocol of genvx")
    return nonce


def join(address: str, port: int, secret: str, **hello: Any) -> Link:
    """Reach node 0 and introduce ourselves. Raises Failure if that cannot be in time."""
    limit = time.monotonic() + JOIN_WITHIN
    while True:
        sock = None
        try:
            sock = socket.create_connection((address, port), timeout=SILENCE)
            link = Link(sock)
            greet(link, secret, **hello)
            return link
        except OSError as error:
            if sock is not None:
                sock.close()
            if time.monotonic() > limit:
                raise Failure(
                    f"node 0 does not answer at {address} port {port}: {error}; "
                    "--master-addr names another address of it"
                ) from None
            time.sleep(0.2)


def serve(port: int, secret: str, meet: Callable[[Link, dict[str, Any]], None]) -> None:
    """Listen as node 0 on a port from now on: `meet` is called, each time in a thread of its own,
    with the link of who knows the secret and what they say of themselves. Raises OSError.
    """
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    try:
        listener = socket.create_server(("", port), family=family, dualstack_ipv6=both)
    except OSError as error:
        raise OSError(f"port {port} cannot be used: {error.strerror}") from None

    def welcomed(sock: socket.socket) -> None:
        link = Link(sock)
        with sock, contextlib.suppress(OSError):
            sock.settimeout(GREET_WITHIN)
            hello = welcome(link, secret)
            sock.settimeout(SILENCE)
            meet(link, hello)

    def accept() -> None:
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=welcomed, args=(sock,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def beat(link: Link) -> None:
    """Send a sign of life from time to time, for ever."""
    while True:
        time.sleep(BEAT)
        link.send()
