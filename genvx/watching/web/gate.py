"""Who gets the page: the user who serves it or, with a token, whoever has that; and who may act."""

from __future__ import annotations

import hmac
import ipaddress
import os
from typing import TYPE_CHECKING, Any

from genvx.watching.ourname import is_of_this_machine
from genvx.watching.web.asking import discard, is_json, is_own_page

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    App = Callable[[Any, Any, Any], Awaitable[None]]

_ESTABLISHED = "01"
_ACTS = ("/api/release", "/api/stop")
# Nothing of the page comes from elsewhere, and nothing in it is made into code or markup.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


class Gate:
    """Lets requests to an ASGI application through, or refuses them, and guards its replies.

    token: what a request for data must bear; None lets in only programs of our user, and of root,
    on this machine. names: of this machine, besides its own. act_token: what a request that changes
    something must bear, too; None refuses all of these.
    """

    def __init__(
        self,
        app: App,
        token: str | None,
        names: tuple[str, ...] = (),
        act_token: str | None = None,
    ) -> None:
        self._app = app
        self._token = token
        self._names = names
        self._act_token = act_token

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""

        async def guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, guarded)
            return
        status, why = refusal
        headers = [(b"content-type", b"text/plain; charset=utf-8")]
        if status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        if scope["method"] not in ("GET", "HEAD"):
            await discard(receive)
            headers.append((b"connection", b"close"))  # not all of it may have been read
        await guarded({"type": "http.response.start", "status": status, "headers": headers})
        await guarded({"type": "http.response.body", "body": f"{why}\n".encode()})

    def _refusal(self, scope: Any) -> tuple[int, str] | None:
        """The status and the reason with which a request is refused."""
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        acts = scope["path"] in _ACTS
        if acts and self._act_token is None:
            return 403, "nothing can be changed through this page; genvx web --allow-actions can"
        if scope["method"] not in (("POST",) if acts else ("GET", "HEAD")):
            return 405, "use POST" if acts else "this page can only be looked at"
        if not is_of_this_machine(headers.get(b"host", ""), self._names):
            # A page of somebody else had the name of its own server lead to us, to read us.
            return 403, "unknown Host: genvx web --name NAME makes a name one of this page"
        if self._token is None and not _is_ours(scope.get("client"), scope.get("server")):
            return 403, "this page is for the user who serves it; --token FILE lets others in"
        if not scope["path"].startswith("/api/"):
            return None  # what has no data; the token comes with its requests
        if headers.get(b"sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return 403, "not for pages of others"
        if self._token is not None:
            given = headers.get(b"authorization", "").removeprefix("Bearer ")
            if not _same(given, self._token):
                return 401, "the token is missing or wrong"
        return self._refusal_to_act(headers) if acts else None

    def _refusal_to_act(self, headers: dict[bytes, str]) -> tuple[int, str] | None:
        if not is_own_page(headers):
            return 403, "not for pages of others"
        if not is_json(headers):
            return 415, "the body is application/json"
        if not _same(headers.get(b"genvx-actions", ""), self._act_token or ""):
            return 403, "only the address that genvx web --allow-actions has printed can do this"
        return None


def _same(given: str, token: str) -> bool:
    """Whether somebody has a token; the time that this takes says nothing of it."""
    return bool(token) and hmac.compare_digest(given.encode(), token.encode())


def _is_ours(client: tuple[str, int] | None, server: tuple[str, int] | None) -> bool:
    """Whether the program at the other end of a connection runs as our user, or as root."""
    if client is None or server is None:
        return False
    return owner_of(client, server) in (os.geteuid(), 0)


def owner_of(client: tuple[str, int], server: tuple[str, int]) -> int | None:
    """Return the uid whose socket on this machine is the client's end of a connection; None if
    there is none.
    """
    wanted = (_plain(client[0]), client[1]), (_plain(server[0]), server[1])
    # The kernel's table has the ports in hexadecimal; most lines need no closer look.
    mark = f":{client[1]:04X} "
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(path, encoding="ascii") as file:
                lines = [line.split() for line in file if mark in line]
        except OSError:
            continue
        for _, local, remote, state, *more in lines:
            ends = (_end(local), _end(remote))
            # A socket that its program has closed has no inode, and seems to be root's.
            if state == _ESTABLISHED and ends == wanted and more[5] != "0":
                return int(more[3])
    return None


def _end(text: str) -> tuple[str, int]:
    """The address and the port of an end, from 0100007F:1F90."""
    address, _, port = text.partition(":")
    words = [bytes.fromhex(address[at : at + 8])[::-1] for at in range(0, len(address), 8)]
    return _plain(str(ipaddress.ip_address(b"".join(words)))), int(port, 16)


def _plain(address: str) -> str:
    """An address, also one that was written as one of IPv6."""
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)
