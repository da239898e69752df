"""GPUs as they are, and as they are used now.

Facts and readings are apart because they age differently.

A device is identified by its UUID: NVML promises no index order across reboots, and indices shift
when a GPU is lost.
"""

from __future__ import annotations

from enum import Enum
from typing import Optional

from genvx.core.text import printable
from genvx.core.value import value
from genvx.errors import InvalidInput

# Memory in use that belongs to no visible process counts as somebody's use from here on. A driver
# keeps 300 to 700 MiB for itself; newer ones leave that out of what they report as used, but not on
# every device. Programs that compute use more than this.
UNEXPLAINED_MEMORY = 1 << 30


class Health(str, Enum):
    """Whether a device may be handed out; only OK devices are."""

    OK = "ok"
    LOST = "lost"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"


class VisibleAs(str, Enum):
    """How CUDA_VISIBLE_DEVICES names devices.

    UUID: unmistakable. INDEX: their number in PCI order, for programs that only accept numbers.
    """

    UUID = "uuid"
    INDEX = "index"

    @classmethod
    def parse(cls, text: str) -> VisibleAs:
        """Return the member that a word names.

        Raises:
            InvalidInput: the word is neither uuid nor index.
        """
        try:
            return cls(text)
        except ValueError:
            raise InvalidInput(f"is uuid or index, not {printable(str(text), 40)!r}") from None


@value
class Device:
    """A GPU, or a MIG instance of one, as it is.

    uuid: NVML's UUID (GPU-…, MIG-…), or SIM-… for a simulated device.
    index: NVML's index, for people only. A MIG instance has its parent's, and `instance`.
    memory: bytes, or None where the driver does not say.
    ordinal: its number where CUDA counts the GPUs of its host in PCI order; None where that is
    not certain, and for MIG instances, which have none.
    unified: its memory is the system's too (GB10, Jetson, GH200), so what is in use of it does
    not show who uses the device. Where it has none of its own, `memory` is the system's.
    topology: a letter for the way to the device of each index (core/topology.py); "" is unknown.
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
    unified: bool = False
    ordinal: Optional[int] = None

    @property
    def label(self) -> str:
        """The short name that people use: "3", or "3:1" for the second MIG instance of GPU 3."""
        return str(self.index) if self.instance is None else f"{self.index}:{self.instance}"

    @property
    def shown_name(self) -> str:
        """The model without the maker's name, which is NVIDIA for all of them."""
        name = self.name.removeprefix("NVIDIA ")
        return f"{name} (simulated)" if self.simulated else name


@value
class DeviceProcess:
    """A process that NVML sees on a device.

    uid: from the kernel; None where the pid does not resolve here (containers, hidepid).
    memory: bytes, or None where the driver does not say (WSL, MIG); never 0 for unknown.
    compute: False for a process that only draws (X, a compositor).
    utilization: percent of the device that it kept busy lately; None where it is unknown.
    mps: whether it is an MPS server, which computes for clients that are processes of their own.
    """

    pid: int
    uid: Optional[int]
    user: str
    command: str
    memory: Optional[int]
    compute: bool
    utilization: Optional[int] = None
    mps: bool = False


@value
class DeviceUsage:
    """A GPU as it is used now.

    memory_used: bytes without the driver's own reserve; None where it is unknown.
    utilization: percent, None where it is unknown.
    processes: None where they cannot be seen, which is not the same as none.
    reason: why the health is not OK; empty otherwise.
    """

    health: Health = Health.OK
    reason: str = ""
    memory_used: Optional[int] = None
    utilization: Optional[int] = None
    processes: Optional[tuple[DeviceProcess, ...]] = ()

    @property
    def idle(self) -> bool:
        """Whether nothing more needs to be asked about the device; cheap to compute."""
        return (
            self.health is Health.OK
            and self.processes == ()
            and (self.memory_used or 0) < UNEXPLAINED_MEMORY
        )


@value
class Driver:
    """The driver of a host: its version, or why there is none.

    error: one line, when NVML could not be asked at all.
    notes: lines about devices that did not answer.
    """

    version: Optional[str] = None
    error: Optional[str] = None
    simulated: bool = False
    notes: tuple[str, ...] = ()
