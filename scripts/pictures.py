"""Makes the pictures of the page for the docs, in docs/pictures.

The page and the browser are real; the hosts are played, so that every state is there. Run it after
the page has changed: .venv/bin/python scripts/pictures.py
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import math
import struct
import sys
import tempfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from genvx.core.device import Device  # noqa: E402
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
from genvx.watching.history.recorder import Recorder  # noqa: E402
from genvx.watching.sight import Sight  # noqa: E402
from tests.helpers import until  # noqa: E402
from tests.watching.paged import paged  # noqa: E402

if TYPE_CHECKING:
    from genvx.core.snapshot import Snapshot
    from tests.browser import Browser

PICTURES = ROOT / "docs/pictures"
ANN, RAZ, SAM = Owner(1001, "ann"), Owner(1002, "raz"), Owner(1003, "sam")
LOG = "".join(f"epoch {n}  loss {2 / n:.3f}  {n * 137 % 60 + 40} img/s\n" for n in range(1, 13))
ACTIONS = "of-a-picture-only"
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


MODELS = ("A100-80GB", "H100-80GB", "L40S")
NAMES = ("llama", "vit", "eval", "sweep", "notebook", "diffusion", "whisper", "")


def load(hour: float, host: int, gpu: int) -> tuple[bool, int]:
    """Whether a GPU of the large fleet is leased at an hour, and how busy it is: more by day."""
    day = 0.5 + 0.5 * math.sin((hour - 8) / 24 * 2 * math.pi)
    number = (host * 8 + gpu) * 2654435761 % 1000 / 1000
    leased = number < 0.25 + 0.6 * day
    wave = math.sin(hour * 3 + host + gpu)
    return leased, round(min(100, max(3, 72 + 30 * wave - 40 * number))) if leased else 0


def large(hour: float) -> list[FakeHost]:
    """40 hosts with 8 GPUs each, at an hour of the day."""
    found: list[FakeHost] = []
    for host in range(40):
        name = f"node-{host + 1:02}"
        if host == 17:
            error = HostUnreachable("no answer within 10 s", kind="timeout")
            found.append(FakeHost(name, error=error))
            continue
        model = MODELS[host // 16]
        devices = [
            Device(f"SIM-{name}-{gpu}", gpu, model, 80 << 30, simulated=True, ordinal=gpu)
            for gpu in range(8)
        ]
        state = [load(hour, host, gpu) for gpu in range(8)]
        leases = [
            replace(
                lease(name, (ANN, RAZ, SAM)[(host + gpu // 4) % 3], NAMES[(host + gpu) % 8], gpu),
                environment_id=f"{host:02x}{gpu:02x}",
            )
            for gpu in range(8)
            if state[gpu][0]
        ]
        use = {gpu: (busy, busy * 9 // 10) for gpu, (_, busy) in enumerate(state)}
        found.append(Busy(name, devices, use=use, leases=leases, owner=ANN))
    return found


def history(path: Path) -> None:
    """Write what a monitor would have seen of the large fleet in a day."""
    recorder = Recorder(path, 600, print)
    end = now() // 600 * 600
    for number in range(-144, 1):
        hour = (end + number * 600) / 3600 % 24
        sights = []
        # A monitor that was down for a while: nothing is known of that time.
        if -60 < number < -50:
            continue
        for host in large(hour):
            if host.error is None:
                # Ten minutes after the boot of the host, with which its leases have begun.
                snapshot = replace(host.look(), boottime_ns=600 * 10**9)
                sights.append(Sight(host.name, end + number * 600, 0.02, snapshot))
        recorder.take(sights, {})
    recorder.close()


def save(browser: Browser, name: str, directory: Path = PICTURES) -> None:
    """Write what is seen."""
    picture = browser.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
    (directory / name).write_bytes(marked(base64.b64decode(picture["data"])))


def marked(png: bytes) -> bytes:
    """A picture that says of what it was made: tests/docs compares that with what is there."""
    text = b"genvx\0" + source().encode("ascii")
    chunk = struct.pack(">I", len(text)) + b"tEXt" + text
    chunk += struct.pack(">I", zlib.crc32(b"tEXt" + text))
    end = png.rindex(b"IEND") - 4
    return png[:end] + chunk + png[end:]


def source() -> str:
    """A digest of what the pictures are made of: the files of the page, and this script."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for path in sorted((ROOT / "genvx/watching/web/files").iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def small(browser: Browser) -> None:
    """A few hosts, in every state."""
    with paged(fleet(), every=1.0) as served:
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
    with paged(fleet(), every=1.0, act_token=ACTIONS) as served:
        browser.open(f"{served.url}#actions={ACTIONS}")
        until(lambda: browser.texts("#own-table .do"), "what is ours is there")
        browser.run("document.querySelector('#own-title').scrollIntoView()")
        browser.find("#own-table .do").click()
        save(browser, "page-release.png")


def wide(browser: Browser) -> None:
    """Many hosts, and a day of theirs."""
    with tempfile.TemporaryDirectory() as directory:
        history(Path(directory) / "history.db")
        hosts = large(12)
        with paged(hosts, every=1.0, history=Path(directory) / "history.db") as served:
            browser.resize(1280, 1060)
            browser.prefer("dark")
            browser.open(served.url)
            until(lambda: "39 of 40 hosts" in browser.text("#counts"), "the hosts are there")
            until(lambda: "From the history" in browser.text("#use-source"), "the day is there")
            save(browser, "page-fleet.png")
            browser.prefer("light")
            browser.run("document.querySelector('#use-hosts').open = true")
            browser.run("document.querySelector('#use-users').open = true")
            until(lambda: len(browser.texts("#use-hosts figure")) == 39, "its hosts are there")
            browser.resize(1280, 760)
            browser.run("document.querySelector('#use-title').scrollIntoView()")
            save(browser, "page-use.png")
            browser.resize(360, 720)
            browser.run("scrollTo(0, 0)")
            save(browser, "page-fleet-narrow.png")


def main() -> None:
    # Imported here: a test that has no browser asks for `source`.
    from tests.browser import chromium

    PICTURES.mkdir(exist_ok=True)
    with chromium() as browser:
        small(browser)
        wide(browser)


if __name__ == "__main__":
    main()
