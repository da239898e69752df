"""Makes the pictures of the docs: of the page, and of the screen of genvx top.

The page, its browser and the screen are real; the hosts are played, so that every state is there.
Run it after one of them has changed: .venv/bin/python scripts/pictures.py [page|top]
"""

from __future__ import annotations

import base64
import itertools
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from genvx.cli.live.draw import screen  # noqa: E402
from genvx.cli.live.keys import Key  # noqa: E402
from genvx.cli.live.known import Known  # noqa: E402
from genvx.cli.live.model import Model  # noqa: E402
from genvx.core.leases.claim import Owner  # noqa: E402
from genvx.core.leases.lease import Lease  # noqa: E402
from genvx.core.requests.ask import Ask  # noqa: E402
from genvx.core.requests.requirements import Requirements  # noqa: E402
from genvx.core.runs.run import Moment, RunSpec  # noqa: E402
from genvx.core.usage import DeviceProcess, DeviceUsage, Health  # noqa: E402
from genvx.core.value import replace  # noqa: E402
from genvx.core.wire.runoperations import ListRuns  # noqa: E402
from genvx.errors import GenvxError, HostUnreachable  # noqa: E402
from genvx.shown.cells import width  # noqa: E402
from genvx.testing import FakeHost, Played  # noqa: E402
from genvx.watching.clock import now  # noqa: E402
from genvx.watching.sight import Sight  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from genvx.cli.live.paint import Spans
    from genvx.core.runs.runinfo import RunInfo
    from genvx.core.snapshot import Snapshot
    from tests.browser import Browser

PICTURES = ROOT / "docs/pictures"
ANN, RAZ, SAM = Owner(1001, "ann"), Owner(1002, "raz"), Owner(1003, "sam")
LOG = "".join(f"epoch {n}  loss {2 / n:.3f}  {n * 137 % 60 + 40} img/s\n" for n in range(1, 13))


def lease(host: str, owner: Owner, name: str, *gpus: int, memory: int | None = None) -> Lease:
    """An environment on a host."""
    number = next(_ids)
    return Lease(
        tuple(f"SIM-{host}-{index}" for index in gpus),
        memory,
        id=f"{number:08x}",
        owner=owner,
        environment_id=f"{number:04x}",
        name=name,
        boot_id="fake",
        since_ns=0,
    )


class Busy(FakeHost):
    """A host whose GPUs are used: percent of time and of memory for each."""

    def __init__(self, *arguments: object, use: dict[int, tuple[int, int]], **more: object) -> None:
        super().__init__(*arguments, **more)  # type: ignore[arg-type]
        self.use = use

    def look(self) -> Snapshot:
        """What there is, as hours after the boot of the host."""
        snapshot = super().look()
        usage = {}
        for device in snapshot.devices:
            busy, full = self.use.get(device.ordinal, (0, 0))
            size = device.memory or 0
            usage[device.uuid] = DeviceUsage(memory_used=size * full // 100, utilization=busy)
        if self.name == "gpu-c":
            uuid = f"SIM-{self.name}-3"
            squatter = DeviceProcess(4711, 1003, "sam", "python", 30 << 30, True, 71)
            usage[uuid] = DeviceUsage(memory_used=30 << 30, utilization=71, processes=(squatter,))
            lost = f"SIM-{self.name}-2"
            usage[lost] = DeviceUsage(health=Health.LOST, reason="the driver has lost it")
        return replace(snapshot, usage=usage, boottime_ns=snapshot.boottime_ns + 7_500 * 10**9)


def fleet() -> list[FakeHost]:
    """Hosts in every state; the same each time."""
    global _ids
    _ids = itertools.count(1)
    first = Busy(
        *("gpu-a", 8),
        use={0: (97, 88), 1: (95, 88), 2: (96, 87), 3: (93, 88), 4: (12, 30), 5: (40, 64)},
        leases=[
            lease("gpu-a", ANN, "llama", 0, 1, 2, 3),
            lease("gpu-a", RAZ, "notebook", 4, memory=20 << 30),
            lease("gpu-a", SAM, "eval", 4, memory=20 << 30),
            lease("gpu-a", SAM, "sweep", 5),
        ],
    )
    second = Busy(
        *("gpu-b", 4),
        use={},
        leases=[lease("gpu-b", RAZ, "", 3)],
        owner=ANN,
        script=lambda spec: Played(LOG.encode(), None),
    )
    third = Busy("gpu-c", 4, use={}, leases=[lease("gpu-c", ANN, "debug", 0)], owner=ANN)
    down = FakeHost("gpu-d", error=HostUnreachable("no route to host", kind="unreachable"))
    moment = Moment(0, round((now() - 5400) * 1e9))
    argv = ("python", "train.py", "--lr", "3e-4")
    spec = RunSpec("5f0c21ab", argv, Requirements(2), "", "", moment, name="vit")
    second.submit(spec)
    second.use = {0: (88, 71), 1: (86, 70)}
    third.line_up(Ask(Requirements(gpus=4), name="big"))
    return [first, second, third, down]


def save(browser: Browser, name: str) -> None:
    """Write what is seen."""
    picture = browser.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
    (PICTURES / name).write_bytes(base64.b64decode(picture["data"]))


def page() -> None:
    """Make the pictures of the page."""
    from tests.browser import chromium
    from tests.helpers import until
    from tests.watching.paged import paged

    with paged(fleet(), every=1.0) as served, chromium() as browser:
        browser.resize(1120, 560)
        browser.prefer("light")
        browser.open(served.url)
        until(lambda: browser.texts(".open"), "the run is there")
        until(lambda: "3 of 4 hosts" in browser.text("#counts"), "the hosts are there")
        browser.run("document.querySelectorAll('.tile')[4].focus()")
        save(browser, "page.png")
        browser.resize(360, 560)
        browser.prefer("dark")
        browser.run("document.activeElement.blur(); document.querySelector('.open').click()")
        until(lambda: len(browser.texts(".log .line")) > 10, "the log is there")
        browser.run("document.querySelector('#runs-title').scrollIntoView()")
        save(browser, "page-narrow.png")


# What the styles of a screen look like, and cells of a terminal in pixels.
_COLOURS = {"good": "#7ec77e", "held": "#6cc5d9", "warn": "#e0b050", "bad": "#ff7b72"}
_DARK, _LIGHT = "#14171c", "#d5dae1"
_WIDE, _HIGH, _EDGE = 8, 17, 10


def seen(hosts: Sequence[FakeHost]) -> Known:
    """What looks at hosts have shown."""
    known = Known([host.name for host in hosts])
    for host in hosts:
        try:
            sight = Sight(host.name, now(), 0.01, host.snapshot(sensors=True))
            known.show(sight, tuple(map(_older, host.answer(ListRuns()))))
        except GenvxError as error:
            known.show(Sight(host.name, now(), 0.01, error=error), None)
    return known


def _older(run: RunInfo) -> RunInfo:
    """A run that has run for as long whenever the picture is made."""
    moment = Moment(0, round((now() - 5400) * 1e9))
    spec = replace(run.spec, submitted=moment)
    return replace(run, spec=spec, state=replace(run.state, since=moment))


def drawn(columns: int, lines: int, *keys: str) -> list[Spans]:
    """The screen of genvx top after some keys."""
    known, model = seen(fleet()).hosts(), Model()
    model.look(known, columns, lines)
    for key in keys:
        model.take(Key(key))
    return screen(model, known, 51_912.0)


def svg(shown: Sequence[Spans], columns: int) -> str:
    """A screen as a picture."""
    wide, high = columns * _WIDE + 2 * _EDGE, len(shown) * _HIGH + 2 * _EDGE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" '
        f'height="{high}" font-family="ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace" '
        f'font-size="13">',
        f'<rect width="{wide}" height="{high}" rx="6" fill="{_DARK}"/>',
    ]
    for row, line in enumerate(shown):
        parts += _line(line, _EDGE + row * _HIGH)
    return "\n".join([*parts, "</svg>", ""])


def _line(line: Spans, top: int) -> Iterator[str]:
    at = 0
    for text, style in line:
        size = width(text)
        left, wide = _EDGE + at * _WIDE, size * _WIDE
        at += size
        ink = _COLOURS.get(style, "#8a929e" if style == "dim" else _LIGHT)
        if style in ("chosen", "note"):
            paper = _LIGHT if style == "chosen" else _COLOURS["warn"]
            yield f'<rect x="{left}" y="{top}" width="{wide}" height="{_HIGH}" fill="{paper}"/>'
            ink = _DARK
        if style == "head":
            yield f'<path d="M{left} {top + _HIGH - 1}h{wide}" stroke="{_LIGHT}" opacity=".5"/>'
        if text.strip():
            yield (
                f'<text x="{left}" y="{top + 13}" fill="{ink}" textLength="{wide}" '
                f'xml:space="preserve"{BOLD if style in ("bold", "host", "bad") else ""}>'
                f"{escape(text)}</text>"
            )


SCREENS = {
    "top.svg": (80, 24, "e", "down", "down", "down", "down", "down"),
    "top-wide.svg": (200, 50, "down"),
    "top-runs.svg": (80, 10, "4", "x"),
}
BOLD = ' font-weight="bold"'


def screens() -> dict[str, str]:
    """Each picture of the screen, by its name."""
    return {
        name: svg(drawn(columns, lines, *keys), columns)
        for name, (columns, lines, *keys) in SCREENS.items()
    }


def top() -> None:
    """Make the pictures of the screen."""
    os.environ["TZ"] = "UTC"
    time.tzset()
    for name, text in screens().items():
        (PICTURES / name).write_text(text)


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    wanted = sys.argv[1:] or ["page", "top"]
    for name, make in {"page": page, "top": top}.items():
        if name in wanted:
            make()


if __name__ == "__main__":
    main()
