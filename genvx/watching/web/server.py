"""Serves the page of a fleet with uvicorn, in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
from typing import TYPE_CHECKING

import uvicorn

from genvx.core.text import printable
from genvx.errors import InvalidInput, StateError
from genvx.watching.web.connections import Connections

if TYPE_CHECKING:
    from genvx.watching.web.app import Page
    from genvx.watching.web.gate import Gate
    from genvx.watching.web.picture import Picture

# Seconds that a connection may be idle between two requests, and that pages have to go at the end.
_IDLE, _LEAVING = 10, 1
_PATIENCE = 10.0


def bound(listen: tuple[str, int]) -> socket.socket:
    """Return a socket that is bound to an address and a port.

    Raises:
        StateError: it cannot be bound. InvalidInput: there is no such address.
    """
    host, port = listen
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError):
        raise InvalidInput(f"no address {printable(host, 60)!r} to listen at") from None
    made = socket.socket(family, kind)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        # At once: a port that is in use is found out now, not in a thread.
        made.listen(128)
    except OSError as error:
        made.close()
        why = error.strerror or str(error)
        raise StateError(f"cannot listen at {host or '*'}:{port}: {why}") from None
    return made


def is_loopback(bound_to: socket.socket) -> bool:
    """Whether only programs of this machine reach a socket."""
    return ipaddress.ip_address(bound_to.getsockname()[0]).is_loopback


class WebServer:
    """A server of the page on a socket that listens."""

    def __init__(self, listening: socket.socket, page: Page, app: Gate, picture: Picture) -> None:
        self._socket = listening
        self._page = page
        self._picture = picture
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                loop="asyncio",
                http=Connections().protocol(),
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="critical",
                access_log=False,
                # Who a client is, is what its connection says, not what a header does.
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=_IDLE,
                timeout_graceful_shutdown=_LEAVING,
            )
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._serve, name="genvx web", daemon=True)

    @property
    def url(self) -> str:
        """Where the page is, as a browser on another machine can ask for it, if it may."""
        address, port = self._socket.getsockname()[:2]
        if ipaddress.ip_address(address).is_unspecified:
            address = socket.gethostname()
        shown = f"[{address}]" if ":" in address else address
        return f"http://{shown}:{port}/"

    def start(self) -> None:
        """Serve, until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving; drop the pages that are open."""
        self._picture.on_change = lambda: None
        self._server.should_exit = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(self._page.end)
        self._thread.join(_PATIENCE)
        self._socket.close()

    def _serve(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        loop = self._loop = asyncio.get_running_loop()
        loop.set_exception_handler(_quiet)
        self._picture.on_change = lambda: loop.call_soon_threadsafe(self._page.wake)
        await self._server.serve(sockets=[self._socket])


def _quiet(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    # Such as that no descriptor is left for a connection: asyncio tries again by itself.
    if not isinstance(context.get("exception"), OSError):
        loop.default_exception_handler(context)
