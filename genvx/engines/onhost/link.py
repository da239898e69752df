"""The link between the nodes of a cluster, and from who holds it to its node 0.

Both sides prove that they know the secret of the cluster, which is not sent.
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

if TYPE_CHECKING:
    from collections.abc import Callable

# Seconds. Clients and members send a line each BEAT; whoever is silent for longer is gone.
SILENCE = 60.0
BEAT = 5.0
# A peer that does not introduce itself so soon is none.
GREET_WITHIN = 10.0
_MOST_LINE = 64 * 1024


class Link:
    """A connection between node 0 and a member or a client: lines of JSON."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._file = sock.makefile("rb")
        self._lock = threading.Lock()

    def send(self, **message: Any) -> None:
        """Send a message; one to a peer that is gone is lost, as its end is seen by who reads."""
        with self._lock, contextlib.suppress(OSError):
            self.sock.sendall(json.dumps(message).encode() + b"\n")

    def read(self) -> dict[str, Any]:
        """Return the next message; an empty one is a sign of life. Raises OSError at the end."""
        line = self._file.readline(_MOST_LINE)
        if not line.endswith(b"\n"):
            raise ConnectionError("the other end is gone")
        try:
            found = json.loads(line)
        except ValueError:
            raise ConnectionError("the other end does not speak the protocol of genvx") from None
        return found if isinstance(found, dict) else {}

    def close(self) -> None:
        """End it: whoever reads from it sees that."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)


def proof(secret: str, who: str, nonce: str) -> str:
    """What proves that one knows the secret, to whom made the nonce up."""
    text = f"{who}:{nonce}".encode(errors="replace")
    return hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()


def same(ours: str, theirs: str) -> bool:
    """Whether two proofs are equal, in a time that does not tell where they differ."""
    # As bytes: compare_digest raises for other letters than those of ASCII, which a stranger sent.
    return hmac.compare_digest(*(each.encode(errors="replace") for each in (ours, theirs)))


def greet(link: Link, secret: str, **hello: Any) -> str:
    """Introduce ourselves on a new link to node 0; return the nonce that we made up for it.

    Raises OSError unless it is node 0.
    """
    theirs = str(link.read().get("nonce"))
    ours = os.urandom(16).hex()
    link.send(proof=proof(secret, "to-head", theirs), nonce=ours, **hello)
    answer = str(link.read().get("proof"))
    if not same(answer, proof(secret, "from-head", ours)):
        raise ConnectionError("something else listens there")
    return ours


def welcome(link: Link, secret: str) -> dict[str, Any]:
    """Have a peer introduce itself; raise OSError unless it knows the secret."""
    nonce = os.urandom(16).hex()
    link.send(nonce=nonce)
    hello = link.read()
    if not same(str(hello.get("proof")), proof(secret, "to-head", nonce)):
        raise ConnectionError("it does not know the secret")
    link.send(proof=proof(secret, "from-head", str(hello.get("nonce"))))
    return hello


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
