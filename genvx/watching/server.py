"""Serves the page of metrics over HTTP, in threads of its own."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from genvx.core.text import printable
from genvx.errors import InvalidInput, StateError
from genvx.watching.ourname import is_of_this_machine

if TYPE_CHECKING:
    from collections.abc import Callable

# Seconds that a client may take for all of its request and its answer.
_PATIENCE = 10.0
# Each takes a thread and a descriptor. Where more come, those that are there for longest go.
_MOST_CLIENTS = 64
_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_INDEX = b"<!doctype html><title>genvx</title><a href=/metrics>Metrics</a>\n"


def parse_address(text: str) -> tuple[str, int]:
    """Return the address and the port of 127.0.0.1:9400, [::1]:9400 or :9400, which is all.

    Raises:
        InvalidInput: it is none.
    """
    address, colon, port = text.rpartition(":")
    bare = address[1:-1] if address.startswith("[") and address.endswith("]") else address
    good = colon and port.isdecimal() and port.isascii() and len(port) <= 5 and int(port) < 65536
    if not good or not bare.isprintable() or (":" in bare and bare == address):
        raise InvalidInput(
            f"--listen is ADDRESS:PORT, such as 127.0.0.1:9400, not {printable(text, 60)!r}"
        )
    return bare, int(port)


class MetricsServer(ThreadingHTTPServer):
    """A server of one page. page: makes it, at each request.

    Raises:
        StateError: the address cannot be listened at. InvalidInput: there is no such address.
    """

    daemon_threads = True
    # Other programs must not take the port away while we listen: no SO_REUSEPORT.
    allow_reuse_port = False
    request_queue_size = 128

    def __init__(
        self, listen: tuple[str, int], page: Callable[[], bytes], patience: float = _PATIENCE
    ) -> None:
        self.page = page
        self._patience = patience
        self._clients: dict[int, tuple[float, socket.socket]] = {}
        self._lock = threading.Lock()
        host, port = listen
        try:
            found = socket.getaddrinfo(
                host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
            self.address_family, address = found[0][0], found[0][4]
        except (OSError, UnicodeError):
            raise InvalidInput(f"no address {printable(host, 60)!r} to listen at") from None
        try:
            super().__init__(address[:2], _Handler)  # type: ignore[arg-type]
        except OSError as error:
            why = error.strerror or str(error)
            raise StateError(f"cannot listen at {host or '*'}:{port}: {why}") from None

    @property
    def url(self) -> str:
        """Where the page is."""
        address, port = str(self.server_address[0]), self.server_address[1]
        shown = f"[{address}]" if ":" in address else address
        return f"http://{shown}:{port}/metrics"

    @property
    def is_loopback(self) -> bool:
        """Whether only programs of this machine reach it."""
        address = str(self.server_address[0])
        return address.startswith("127.") or address == "::1"

    def start(self) -> None:
        """Serve, until `stop`."""
        threading.Thread(target=self.serve_forever, name="genvx metrics", daemon=True).start()

    def stop(self) -> None:
        """Stop serving; drop those who are connected."""
        self.shutdown()
        self.server_close()
        with self._lock:
            for _, client in self._clients.values():
                _drop(client)

    def server_bind(self) -> None:
        """Bind; the base class would also look up the name of the host, which may hang."""
        if self.allow_reuse_address:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a client in a thread of its own; if there are too many, drop the oldest."""
        with self._lock:
            if len(self._clients) >= _MOST_CLIENTS:
                _drop(min(self._clients.values(), key=lambda each: each[0])[1])
            self._clients[id(request)] = (time.monotonic(), request)
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no more threads for this user
            self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        """Forget a client."""
        with self._lock:
            self._clients.pop(id(request), None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Twice a second: drop those who take too long, also if they send a byte now and then."""
        end = time.monotonic() - self._patience
        with self._lock:
            for begun, client in self._clients.values():
                if begun < end:
                    _drop(client)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that goes away is no fault of ours, and may do so at any time."""


class _Handler(BaseHTTPRequestHandler):
    server: MetricsServer
    server_version, sys_version = "genvx", ""

    def do_GET(self) -> None:
        """Answer with the page of metrics."""
        self._answer(body=True)

    def do_HEAD(self) -> None:
        """Answer without the page."""
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        path = self.path.partition("?")[0]
        if self.server.is_loopback and not is_of_this_machine(self.headers.get("Host", "")):
            # A page in a browser here has had the name of its own server lead to us, to read us.
            status, kind, content = HTTPStatus.FORBIDDEN, "text/plain", b"unknown Host\n"
        elif path == "/metrics":
            status, kind, content = HTTPStatus.OK, _CONTENT_TYPE, self.server.page()
        elif path == "/":
            status, kind, content = HTTPStatus.OK, "text/html; charset=utf-8", _INDEX
        else:
            status, kind, content = HTTPStatus.NOT_FOUND, "text/plain", b"metrics: /metrics\n"
        packed = _takes_gzip(self.headers.get("Accept-Encoding", ""))
        if packed:
            # At the lowest level: the highest one costs twenty times as much for a third less.
            content = gzip.compress(content, 1)
        self.send_response(status)
        if packed:
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Vary", "Accept-Encoding")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: what clients send is not for the terminal."""


def _takes_gzip(accepted: str) -> bool:
    words = [word.strip().replace(" ", "").lower() for word in accepted.split(",")]
    return any(word == "gzip" or (word.startswith("gzip;q=") and word[7:] != "0") for word in words)


def _drop(client: socket.socket) -> None:
    try:
        client.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it has gone by itself
