"""GPUs as they are, and as they are used now.

Facts and readings are apart because they age differently.

Identity is the UUID: NVML promises no index order across reboots, and indices shift when a GPU is
lost.
"""

from __future__ import annotations

from enum import Enum
from typing import Optional

from genvx.core.record import dataclass


class Health(str, Enum):
    """Whether a device may be handed out. Only OK ones are."""

    OK = "ok"
    LOST = "lost"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Device:
    """A GPU, or a MIG instance of one, as it is.

    uuid: NVML's UUID (GPU-…, MIG-…), or SIM-… for a simulated device.
    index: NVML's index, for people only. A MIG instance has its parent's, and `instance`.
    memory: bytes, or None where the driver does not tell (GB10, Jetson).
    topology: a letter for the way to the device of each index (core/topology.py); "" is not told.
    shareable: whether the policy of the host lets several have parts of it; oversubscribable:
    whether these may add up to more than it has.
    """

    uuid: str
    index: int
    name: str
    memory: Optional[int]
    instance: Optional[int] = None
    parent: Optional[str] = None
    simulated: bool = False
    topology: str = ""
    shareable: bool = True
    oversubscribable: bool = False

    @property
    def label(self) -> str:
        """What people call it: "3", or "3:1" for the second MIG instance of GPU 3."""
        return str(self.index) if self.instance is None else f"{self.index}:{self.instance}"

    @property
    def shown_name(self) -> str:
        """Its name, without the maker's, which says nothing: all are NVIDIA's."""
        name = self.name.removeprefix("NVIDIA ")
        return f"{name} (simulated)" if self.simulated else name


@dataclass(frozen=True)
class DeviceProcess:
    """A process that NVML sees on a device.

    uid: from the kernel; None where the pid does not resolve here (containers, hidepid).
    memory: bytes, or None where the driver does not tell (WSL, MIG); never 0 for unknown.
    compute: False for one that only draws (X, a compositor).
    utilization: percent of the device that it kept busy of late; None where it is not told.
    """

    pid: int
    uid: Optional[int]
    user: str
    command: str
    memory: Optional[int]
    compute: bool
    utilization: Optional[int] = None


@dataclass(frozen=True)
class DeviceUsage:
    """A GPU as it is used now.

    memory_used: bytes without the driver's own reserve; None where it is not told.
    utilization: percent, None where it is not told.
    processes: None where they cannot be seen, which is not the same as none.
    reason: why the health is not OK; empty otherwise.
    """

    health: Health = Health.OK
    reason: str = ""
    memory_used: Optional[int] = None
    utilization: Optional[int] = None
    processes: Optional[tuple[DeviceProcess, ...]] = ()


@dataclass(frozen=True)
class Driver:
    """What stands between us and the devices: its version, or why there is none.

    error: one line, when NVML could not be asked at all.
    notes: lines about devices that did not answer.
    """

    version: Optional[str] = None
    error: Optional[str] = None
    simulated: bool = False
    notes: tuple[str, ...] = ()
