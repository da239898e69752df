"""The devices of a machine and their use now, whether NVML or a simulation reports them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from genvx.core.usage import DeviceProcess, Driver
from genvx.core.value import field, value
from genvx.local import processes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.device import Device
    from genvx.core.usage import DeviceUsage

_MPS_SERVER = "nvidia-cuda-mps-server"


@value
class Inventory:
    """The result of one survey.

    A device without a reading in `usage` counts as idle and healthy.
    """

    driver: Driver = field(default_factory=Driver)
    devices: tuple[Device, ...] = ()
    usage: Mapping[str, DeviceUsage] = field(default_factory=dict)

    @property
    def memory(self) -> dict[str, Optional[int]]:
        """The bytes of each device, by UUID."""
        return {device.uuid: device.memory for device in self.devices}


def process_on_device(
    pid: int, memory: Optional[int], utilization: Optional[int] = None, *, compute: bool = True
) -> DeviceProcess:
    """Describe a process that uses a device; its user and command come from the kernel."""
    # NVML reports only pids. In a container, or with hidepid, the pid is not found here; the user
    # is then unknown, and the process counts as foreign.
    known = processes.describe(pid)
    if known is None:
        uid, user, command = None, "an unknown user", ""
    else:
        uid, user, command = known.uid, processes.owner_of(known.uid).name, known.command
    program = command.partition(" ")[0].rpartition("/")[2]
    return DeviceProcess(
        pid, uid, user, command, memory, compute, utilization, mps=program == _MPS_SERVER
    )
