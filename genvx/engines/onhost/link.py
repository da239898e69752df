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
from typing import Any

# Seconds. Clients and members send a line each BEAT; whoever is silent for longer is gone.
SILENCE = 60.0
BEAT = 5.0
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
            raise ConnectionError("the other end talks otherwise") from None
        return found if isinstance(found, dict) else {}

    def close(self) -> None:
        """End it: whoever reads from it sees that."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)


def proof(secret: str, who: str, nonce: str) -> str:
    """What proves that one knows the secret, to whom made the nonce up."""
    return hmac.new(secret.encode(), f"{who}:{nonce}".encode(), hashlib.sha256).hexdigest()


def greet(link: Link, secret: str, **hello: Any) -> None:
    """Introduce ourselves on a new link to node 0; raise OSError unless it is node 0."""
    theirs = str(link.read().get("nonce"))
    ours = os.urandom(16).hex()
    link.send(proof=proof(secret, "to-head", theirs), nonce=ours, **hello)
    answer = str(link.read().get("proof"))
    if not hmac.compare_digest(answer, proof(secret, "from-head", ours)):
        raise ConnectionError("something else listens there")


def welcome(link: Link, secret: str) -> dict[str, Any]:
    """Have a peer introduce itself; raise OSError unless it knows the secret."""
    nonce = os.urandom(16).hex()
    link.send(nonce=nonce)
    hello = link.read()
    if not hmac.compare_digest(str(hello.get("proof")), proof(secret, "to-head", nonce)):
        raise ConnectionError("it does not know the secret")
    link.send(proof=proof(secret, "from-head", str(hello.get("nonce"))))
    return hello


def beat(link: Link) -> None:
    """Send a sign of life from time to time, for ever."""
    while True:
        time.sleep(BEAT)
        link.send()
