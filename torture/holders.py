"""The processes of F18 that hold leases, and do what the model tells them."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.core.usage import DeviceProcess, DeviceUsage, Health
from genvx.errors import GenvxError
from genvx.local import processes
from genvx.local.devices import simulated
from genvx.local.devices.inventory import Inventory
from genvx.local.host import LocalHost
from genvx.local.running import hold

DEVICES = 4
FOREIGN = 424242


@dataclass
class Moment:
    """When it is, for genvx: in which boot, and how far its clock is ahead of the kernel's."""

    boot_id: str
    ahead_ns: int = 0

    def now_ns(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) + self.ahead_ns

    @contextlib.contextmanager
    def believed(self) -> Iterator[None]:
        """Have genvx take it for now."""
        real = processes.boot_id, processes.boottime_ns
        processes.boot_id, processes.boottime_ns = lambda: self.boot_id, self.now_ns
        try:
            yield
        finally:
            processes.boot_id, processes.boottime_ns = real


@dataclass
class Holder:
    """A process that holds leases, and does what it is told over a socket."""

    pid: int
    line: socket.socket
    uid: int
    stopped: bool = False

    def tell(self, moment: Moment, **words: Any) -> dict[str, Any]:
        words["moment"] = asdict(moment)
        self.line.sendall(json.dumps(words).encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            part = self.line.recv(65536)
            if not part:
                return {"ending": "died"}
            answer += part
        result: dict[str, Any] = json.loads(answer)
        return result


@dataclass
class World:
    """The devices as they are now; holders see the same through a file."""

    lost: set[int] = field(default_factory=set)
    foreign: set[int] = field(default_factory=set)

    def inventory(self, seed: str) -> Inventory:
        made = simulated.simulate(f"{DEVICES}xA100-80GB", seed)
        usage = dict(made.usage)
        for device in made.devices:
            if device.index in self.lost:
                usage[device.uuid] = DeviceUsage(Health.LOST, "lost", processes=None)
            elif device.index in self.foreign:
                stranger = DeviceProcess(FOREIGN, FOREIGN, "stranger", "x", 1 << 30, True)
                usage[device.uuid] = DeviceUsage(memory_used=1 << 30, processes=(stranger,))
        return Inventory(made.driver, made.devices, usage)


class Holding:
    """The far side of a holder's socket."""

    def __init__(self, line: socket.socket, variables: dict[str, str], place: Path) -> None:
        self._line = line
        self._place = place
        self._host = LocalHost(environ=variables, survey=self._survey)
        self._held: dict[str, list[hold.LocalHold]] = {}

    def _survey(self) -> Inventory:
        words = json.loads((self._place / "world").read_text())
        return World(set(words["lost"]), set(words["foreign"])).inventory("lives")

    def serve(self) -> None:
        with self._line.makefile("r") as lines:
            for text in lines:
                words = json.loads(text)
                try:
                    with Moment(**words.pop("moment")).believed():
                        answer = getattr(self, words.pop("do"))(**words)
                except GenvxError as error:
                    answer = {"ending": type(error).__name__, "line": str(error)}
                except Exception as error:
                    answer = {"ending": "raised", "line": f"{type(error).__name__}: {error}"}
                self._line.sendall(json.dumps(answer).encode() + b"\n")

    def acquire(self, gpus: int, memory: int | None, time: int | None) -> dict[str, Any]:
        held = self._host.acquire(Ask(Requirements(gpus, memory), lasts=time))
        self._held.setdefault(held.grant.environment_id, []).append(held)
        devices = [device.uuid for device in held.grant.devices]
        return {"ending": "done", "environment": held.grant.environment_id, "devices": devices}

    def reserve(self, gpus: int, memory: int | None, time: int) -> dict[str, Any]:
        grant = self._host.reserve(Ask(Requirements(gpus, memory), lasts=time))
        devices = [device.uuid for device in grant.devices]
        return {"ending": "done", "environment": grant.environment_id, "devices": devices}

    def join(self, environment: str) -> dict[str, Any]:
        self._held.setdefault(environment, []).append(self._host.join(environment))
        return {"ending": "done"}

    def attach(self, environment: str, gpus: int, memory: int | None) -> dict[str, Any]:
        before = {device.uuid for device in self._host.grant_of(environment).devices}
        grant = self._host.attach(environment, Requirements(gpus, memory))
        devices = [device.uuid for device in grant.devices if device.uuid not in before]
        return {"ending": "done", "devices": devices}

    def detach(self, environment: str, devices: list[str]) -> dict[str, Any]:
        self._host.detach(environment, devices)
        return {"ending": "done"}

    def leave(self, environment: str) -> dict[str, Any]:
        self._held[environment].pop().release()
        return {"ending": "done"}

    def reap(self) -> dict[str, Any]:
        return {"ending": "done", "leases": len(self._host.snapshot().leases)}
