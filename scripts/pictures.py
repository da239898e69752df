"""Makes the pictures of the page for the docs: docs/pictures/page.png and page-narrow.png.

The page and the browser are real; the hosts are played, so that every state is there. Run it after
the page has changed: .venv/bin/python scripts/pictures.py
"""

from __future__ import annotations

import base64
import itertools
import sys
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from genvx.core.leases.claim import Owner  # noqa: E402
from genvx.core.leases.lease import Lease  # noqa: E402
from genvx.core.requests.ask import Ask  # noqa: E402
from genvx.core.requests.requirements import Requirements  # noqa: E402
from genvx.core.runs.run import Moment, RunSpec  # noqa: E402
from genvx.core.usage import DeviceProcess, DeviceUsage, Health  # noqa: E402
from genvx.core.value import replace  # noqa: E402
from genvx.errors import HostUnreachable  # noqa: E402
from genvx.testing import FakeHost, Played  # noqa: E402
from genvx.watching.clock import now  # noqa: E402
from tests.browser import Browser, chromium  # noqa: E402
from tests.helpers import until  # noqa: E402
from tests.watching.paged import paged  # noqa: E402

if TYPE_CHECKING:
    from genvx.core.snapshot import Snapshot

PICTURES = ROOT / "docs/pictures"
ANN, RAZ, SAM = Owner(1001, "ann"), Owner(1002, "raz"), Owner(1003, "sam")
LOG = "".join(f"epoch {n}  loss {2 / n:.3f}  {n * 137 % 60 + 40} img/s\n" for n in range(1, 13))
_ids = itertools.count(1)


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
    """Hosts in every state."""
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


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
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


if __name__ == "__main__":
    main()
