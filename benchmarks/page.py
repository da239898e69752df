"""M3: the page of 1,000 GPUs whose use changes at each look, open once and 60 times."""

from __future__ import annotations

import contextlib
import random
import socket
import statistics
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.form import sized
from benchmarks.report import Table, verdict
from benchmarks.world import loopback_up
from genvx.cli.schema.page import plain_day, plain_sight
from genvx.cli.schema.runs import plain_run
from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.core.usage import DeviceUsage
from genvx.core.value import replace
from genvx.fleet.ask import HostGroup
from genvx.testing import FakeHost
from genvx.watching.web.app import Page
from genvx.watching.web.lastday import LastDay
from genvx.watching.web.looks import Looks
from genvx.watching.web.picture import Picture
from genvx.watching.web.seen import Seen
from genvx.watching.web.server import WebServer, bound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from genvx.core.runs.runinfo import RunInfo
    from genvx.core.snapshot import Snapshot
    from genvx.watching.sight import Sight

_HOSTS, _DEVICES, _PAGES = sized(125, 2), 8, sized(60, 2)
_SECONDS = sized(5.0, 1.2)
_ASK = b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n"


def run(rounds: int) -> Table:
    """rounds: changes, of which each is waited for by every page."""
    loopback_up()
    with _served() as (hosts, address):
        one = _watched(hosts, address, 1, rounds)
        many = _watched(hosts, address, _PAGES, rounds)
        painted, shown = _in_chromium(hosts, address, rounds)
    rows = [
        ["the whole arrives, s", *(f"{each.whole:.2f}" for each in (one, many))],
        ["looks at each host in a second", *(f"{each.rate:.2f}" for each in (one, many))],
        ["KiB a second for each page", *(f"{each.kib:.0f}" for each in (one, many))],
        ["CPU, server and readers", *(f"{each.cpu:.0%}" for each in (one, many))],
        ["a change arrives, median, s", *(f"{each.change:.2f}" for each in (one, many))],
    ]
    rows += [
        ["all tiles are there in Chromium, s", f"{painted:.2f}", ""],
        ["a change is seen in Chromium, median, s", f"{shown:.2f}", ""],
    ]
    return Table(
        (f"{_HOSTS * _DEVICES:,} GPUs", "1 page", f"{_PAGES} pages"),
        rows,
        [
            verdict("M3", "all tiles are there in Chromium", painted, 1, " s"),
            verdict("M3", "a change is seen in Chromium, median", shown, 1, " s"),
            # A second until the next look, and a second until all have been told.
            verdict("M3", "a change arrives at the slowest of 60 pages", many.slowest, 2, " s"),
            verdict("M3", "seconds between looks at a host", 1 / many.rate, 1.1, " s"),
        ],
    )


class _Host(FakeHost):
    """A host whose GPUs are used in another way at each look."""

    looks = 0

    def look(self) -> Snapshot:
        self.looks += 1
        snapshot = super().look()
        return replace(snapshot, usage={each.uuid: _usage() for each in snapshot.devices})


def _usage() -> DeviceUsage:
    # Below what makes a device busy for those who want it.
    return DeviceUsage(memory_used=random.randrange(100 << 20), utilization=random.randrange(100))


class _Watched:
    """What was measured with a number of pages."""

    whole = rate = kib = cpu = change = slowest = 0.0


class _Reader:
    """A page: reads all that comes, and notes when it has seen what is waited for."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.bytes = 0
        self.wanted = b"event: all\n"
        self.seen: float | None = None
        self.socket = socket.create_connection(address)
        self.socket.sendall(_ASK)
        threading.Thread(target=self._read, daemon=True).start()

    def wait_for(self, text: bytes) -> None:
        self.seen, self.wanted = None, text

    def _read(self) -> None:
        end = b""
        with contextlib.suppress(OSError):
            while data := self.socket.recv(1 << 20):
                self.bytes += len(data)
                if self.seen is None and self.wanted in end + data:
                    self.seen = time.monotonic()
                end = data[-64:]


@contextlib.contextmanager
def _served() -> Iterator[tuple[list[_Host], tuple[str, int]]]:
    hosts = [_Host(f"node{number}", _DEVICES) for number in range(_HOSTS)]
    fleet: HostGroup[Any] = HostGroup(hosts)
    picture, seen = Picture([host.name for host in hosts]), Seen()

    def show(sight: Sight, runs: Sequence[RunInfo] | None, user: str | None) -> None:
        seen.take(sight)
        picture.show(plain_sight(sight, runs, user))

    looks = Looks(fleet, show)
    page = Page(fleet, picture, looks, LastDay(seen, partial(plain_day, users=True)), plain_run)
    with bound(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()
        server = WebServer(listening, page, page.app(None), picture)
        server.start()
        looking = threading.Thread(target=looks.run)
        looking.start()
        try:
            yield hosts, address
        finally:
            looks.stop()
            server.stop()
            looking.join()


def _watched(hosts: list[_Host], address: tuple[str, int], pages: int, rounds: int) -> _Watched:
    found = _Watched()
    begun = time.monotonic()
    readers = [_Reader(address) for _ in range(pages)]
    found.whole = max(_seen(readers)) - begun
    time.sleep(1.0)
    looks, sent = sum(h.looks for h in hosts), sum(r.bytes for r in readers)
    begun, cpu = time.monotonic(), time.process_time()
    time.sleep(_SECONDS)
    took = time.monotonic() - begun
    found.rate = (sum(h.looks for h in hosts) - looks) / took / _HOSTS
    found.kib = (sum(r.bytes for r in readers) - sent) / took / pages / 1024
    found.cpu = (time.process_time() - cpu) / took
    delays = []
    for number in range(rounds):
        name = f"change-{pages}-{number}"
        for reader in readers:
            reader.wait_for(name.encode())
        begun = time.monotonic()
        grant = random.choice(hosts).reserve(Ask(Requirements(gpus=1), name=name))
        assert grant.devices
        delays += [seen - begun for seen in _seen(readers)]
    found.change, found.slowest = statistics.median(delays), max(delays)
    for reader in readers:
        reader.socket.close()
    return found


# Notes when all tiles are there, and from then on when each one has become another.
_NOTE = """
window.at = {};
const look = () => {
  for (const tile of document.querySelectorAll('.tile[data-state="leased"]')) {
    at[tile.dataset.uuid] ??= performance.timeOrigin + performance.now();
  }
  const there = document.querySelectorAll(".tile").length;
  if (there === COUNT) at.all ??= performance.now();
};
new MutationObserver(look).observe(document, {
  subtree: true, childList: true, attributes: true, attributeFilter: ["data-state"]});
"""


def _in_chromium(hosts: list[_Host], address: tuple[str, int], rounds: int) -> tuple[float, float]:
    """Seconds until all tiles are there, and until a change is seen, each a median."""
    from tests.browser import chromium

    def noted(key: str) -> float | None:
        found: float | None = browser.run("return window.at?.[arguments[0]] ?? null", key)
        return found

    painted, shown = [], []
    with chromium() as browser:
        source = {"source": _NOTE.replace("COUNT", str(_HOSTS * _DEVICES))}
        browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", source)
        for _ in range(rounds):
            browser.open(f"http://{address[0]}:{address[1]}/")
            painted.append(_awaited(partial(noted, "all")) / 1000)
        for _ in range(rounds):
            begun = time.time()
            grant = random.choice(hosts).reserve(Ask(Requirements(gpus=1)))
            uuid = grant.devices[0].uuid
            shown.append(_awaited(partial(noted, uuid)) / 1000 - begun)
    return statistics.median(painted), statistics.median(shown)


def _awaited(find: Callable[[], float | None]) -> float:
    end = time.monotonic() + 30
    while (found := find()) is None:
        assert time.monotonic() < end, "the browser saw nothing"
        time.sleep(0.01)
    return found


def _seen(readers: list[_Reader]) -> list[float]:
    end = time.monotonic() + 30
    while any(reader.seen is None for reader in readers):
        assert time.monotonic() < end, "a page saw nothing"
        time.sleep(0.005)
    return [reader.seen for reader in readers if reader.seen is not None]
