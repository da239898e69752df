"""How GPUs are used now, and how well they are, as the driver reports it."""

from __future__ import annotations

from enum import Enum
from typing import Optional

from genvx.core.value import value

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
class Sensors:
    """What a GPU's sensors read; None where the driver does not say.

    power_mw: milliwatts. temperature: degrees Celsius of the GPU. sm_clock_mhz, memory_clock_mhz:
    as they are now. ecc_corrected, ecc_uncorrected: errors of memory since the driver was loaded.
    """

    power_mw: Optional[int] = None
    temperature: Optional[int] = None
    sm_clock_mhz: Optional[int] = None
    memory_clock_mhz: Optional[int] = None
    ecc_corrected: Optional[int] = None
    ecc_uncorrected: Optional[int] = None


@value
class DeviceUsage:
    """A GPU as it is used now.

    memory_used: bytes without the driver's own reserve; None where it is unknown.
    utilization: percent, None where it is unknown.
    processes: None where they cannot be seen, which is not the same as none.
    reason: why the health is not OK; empty otherwise.
    sensors: None if nobody has asked for them.
    """

    health: Health = Health.OK
    reason: str = ""
    memory_used: Optional[int] = None
    utilization: Optional[int] = None
    processes: Optional[tuple[DeviceProcess, ...]] = ()
    sensors: Optional[Sensors] = None

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
