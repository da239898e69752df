"""The page, what it asks for, and what it is told: a Starlette application."""

from __future__ import annotations

import asyncio
import contextlib
from importlib import resources
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from genvx.core.text import is_identifier, printable
from genvx.errors import (
    GenvxError,
    HostError,
    InvalidInput,
    NotOwner,
    UnknownEnvironment,
    UnknownRun,
)
from genvx.watching.web.apart import apart
from genvx.watching.web.asking import read_object
from genvx.watching.web.gate import Gate
from genvx.watching.web.runlog import follow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.requests import Request

    from genvx.core.runs.runinfo import RunInfo
    from genvx.fleet.ask import HostGroup
    from genvx.watching.web.acts import Acts
    from genvx.watching.web.lastday import LastDay
    from genvx.watching.web.looks import Looks
    from genvx.watching.web.picture import Picture

# Pages, and logs that are open in them: each log is a thread here and a process on a host.
_MOST_PAGES, _MOST_LOGS = 200, 16
# Acts that are under way: each is a thread.
_MOST_ACTS = 8
# How an act is answered that failed; the rest are 409.
_STATUS: tuple[tuple[type[GenvxError], int], ...] = (
    (UnknownEnvironment, 404),
    (UnknownRun, 404),
    (NotOwner, 403),
    (InvalidInput, 400),
    (HostError, 502),
)
_BEAT = 15.0
# Hosts answer one after the other: what they show within so many seconds goes out together.
_TOGETHER = 0.1
_STREAM = "text/event-stream"
_FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/runs.js": ("runs.js", "text/javascript; charset=utf-8"),
    "/own.js": ("own.js", "text/javascript; charset=utf-8"),
    "/use.js": ("use.js", "text/javascript; charset=utf-8"),
    "/parts.js": ("parts.js", "text/javascript; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}


class Page:
    """The page of a fleet. day: the use of the last day. plain_run: a run as documented JSON has
    it. acts: what can be done through it; None is nothing.
    """

    def __init__(
        self,
        fleet: HostGroup[Any],
        picture: Picture,
        looks: Looks,
        day: LastDay,
        plain_run: Callable[[RunInfo], dict[str, Any]],
        acts: Acts | None = None,
    ) -> None:
        self._hosts = {host.name: host for host in fleet.hosts}
        self._picture = picture
        self._looks = looks
        self._day = day
        self._plain_run = plain_run
        self._changed = asyncio.Event()
        self._pages = 0
        self._acts = acts
        self._acting = 0
        self._asking: asyncio.Future[bytes] | None = None
        self._logs = 0
        self._over = False

    def app(
        self, token: str | None, names: tuple[str, ...] = (), act_token: str | None = None
    ) -> Gate:
        """Return the application; the arguments are those of its Gate."""
        routes = [Route(path, _file(*file)) for path, file in _FILES.items()]
        routes += [
            Route("/api/fleet", self._fleet),
            Route("/api/events", self._events),
            Route("/api/usage", self._usage),
            Route("/api/log", self._log),
            Route("/api/release", self._act, methods=["POST"]),
            Route("/api/stop", self._act, methods=["POST"]),
        ]
        return Gate(Starlette(routes=routes), token, names, act_token)

    def wake(self) -> None:
        """Have the pages be told of a change; called in the thread of the server."""
        self._changed.set()
        self._changed = asyncio.Event()

    def end(self) -> None:
        """Have the pages that are open be told nothing more; called in the thread of the server."""
        self._over = True
        self.wake()

    async def _fleet(self, request: Request) -> Response:
        self._looks.ask()
        return JSONResponse({"schema": "genvx/1", "verb": "web", "hosts": self._picture.hosts()})

    async def _usage(self, request: Request) -> Response:
        # Whoever comes while it is made gets the same: there is one thread for all.
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(apart(self._day.document))
        return Response(await asyncio.shield(self._asking), media_type="application/json")

    async def _events(self, request: Request) -> Response:
        if self._pages >= _MOST_PAGES:
            return PlainTextResponse("too many pages are open\n", 503)
        return StreamingResponse(self._news(), media_type=_STREAM)

    async def _news(self) -> AsyncIterator[bytes]:
        self._pages += 1
        self._looks.open_page()
        try:
            revision: int | None = None
            while not self._over:
                changed = self._changed
                revision, events = self._picture.news(revision)
                if events:
                    yield events
                try:
                    await asyncio.wait_for(changed.wait(), _BEAT)
                except TimeoutError:
                    yield b":\n\n"  # a page that is gone is noticed when something is sent to it
                else:
                    await asyncio.sleep(_TOGETHER)
        finally:
            self._pages -= 1
            self._looks.close_page()

    async def _log(self, request: Request) -> Response:
        host = self._hosts.get(request.query_params.get("host", ""))
        run = request.query_params.get("run", "")
        if host is None or not is_identifier(run):
            return PlainTextResponse("no such run\n", 404)
        if self._logs >= _MOST_LOGS:
            return PlainTextResponse("too many logs are open\n", 503)
        return StreamingResponse(self._followed(host, run), media_type=_STREAM)

    async def _followed(self, host: Any, run: str) -> AsyncIterator[bytes]:
        self._logs += 1
        try:
            async with contextlib.aclosing(follow(host, run, self._plain_run)) as events:
                async for event in events:
                    yield event
        finally:
            self._logs -= 1

    async def _act(self, request: Request) -> Response:
        status, line = await self._acted(request)
        # A body of which not all was read must not come in all the same.
        headers = {} if status == 200 else {"connection": "close"}
        return PlainTextResponse(f"{printable(line)}\n", status, headers)

    async def _acted(self, request: Request) -> tuple[int, str]:
        act = None if self._acts is None else self._acts.named(request.url.path)
        if act is None:
            return 404, "Not Found"
        if self._acting >= _MOST_ACTS:
            return 503, "too much is done just now; try again"
        self._acting += 1
        try:
            asked = await read_object(request.stream())
            host = self._hosts.get(str(asked.get("host")))
            if host is None:
                return 404, "no such host"
            line = await apart(lambda: act(host, asked))
        except GenvxError as error:
            status = next((code for kind, code in _STATUS if isinstance(error, kind)), 409)
            return status, str(error)
        except ClientDisconnect:
            return 400, "the body has ended too early"
        finally:
            self._acting -= 1
        self._looks.ask()
        return 200, line


def _file(name: str, kind: str) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        content = (resources.files("genvx.watching.web") / "files" / name).read_bytes()
        return Response(content, headers={"content-type": kind})

    return answer
