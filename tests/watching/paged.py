"""The page of hosts that a test plays, served for real."""

from __future__ import annotations

import contextlib
import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

from genvx.cli.schema.page import plain_day, plain_sight
from genvx.cli.schema.runs import plain_run
from genvx.fleet.ask import HostGroup
from genvx.watching.web.acts import Acts
from genvx.watching.web.app import Page
from genvx.watching.web.lastday import LastDay
from genvx.watching.web.looks import Looks
from genvx.watching.web.picture import Picture
from genvx.watching.web.seen import Seen
from genvx.watching.web.server import WebServer, bound
from tests.helpers import PATIENCE


@dataclass
class Served:
    """A page that is served."""

    url: str
    picture: Picture
    looks: Looks

    def request(self, path: str = "", **headers: str) -> urllib.request.Request:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return urllib.request.Request(self.url + path, headers=named)

    def fetched(self, path: str = "", **headers: str) -> tuple[int, Any, str]:
        """Status, headers and text of an answer."""
        try:
            with urllib.request.urlopen(self.request(path, **headers), timeout=PATIENCE) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read().decode()

    @contextmanager
    def events(self, path: str) -> Iterator[Iterator[tuple[str, Any]]]:
        """The events of a stream, as they come."""
        with urllib.request.urlopen(self.request(path), timeout=PATIENCE) as answer:
            yield _events(answer)


def _events(answer: Any) -> Iterator[tuple[str, Any]]:
    for line in answer:
        if line.startswith(b"event: "):
            data = next(answer)
            yield line[7:].decode().strip(), json.loads(data.removeprefix(b"data: "))


@contextmanager
def paged(
    hosts: list[Any],
    token: str | None = None,
    every: float = 0.05,
    *,
    act_token: str | None = None,
    history: Path | None = None,
) -> Iterator[Served]:
    """Serve the page of hosts on a free port of loopback. act_token: with which it can act."""
    fleet: HostGroup[Any] = HostGroup(hosts)
    picture, seen, acts = Picture([host.name for host in hosts]), Seen(), Acts()

    def show(sight: Any, runs: Any, user: Any) -> None:
        seen.take(sight)
        picture.show(plain_sight(sight, runs, user))

    who = {} if act_token is None else {"who": acts.user}
    looks = Looks(fleet, show, every=every, **who)
    day = LastDay(seen, partial(plain_day, users=True), history=lambda: history)
    page = Page(fleet, picture, looks, day, plain_run, None if act_token is None else acts)
    with contextlib.closing(bound(("127.0.0.1", 0))) as listening:
        server = WebServer(listening, page, page.app(token, (), act_token), picture)
        server.start()
        looking = Thread(target=looks.run)
        looking.start()
        try:
            yield Served(server.url, picture, looks)
        finally:
            looks.stop()
            server.stop()
            looking.join(PATIENCE)
