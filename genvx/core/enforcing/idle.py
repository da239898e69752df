"""Whether an environment uses its GPUs now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.value import field, value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.device import Device
    from genvx.core.enforcing.sight import Sight
    from genvx.core.leases.environment import Environment
    from genvx.core.usage import DeviceProcess

# Less than this is no growth: drivers and allocators move a page now and then.
_GROWTH = 1 << 20


@value
class Idle:
    """How an environment was seen. busy: also where that is unknown. memory: bytes in use of each
    device, by UUID.
    """

    busy: bool
    memory: Mapping[str, int] = field(default_factory=dict)

    def grew(self, before: Mapping[str, int]) -> bool:
        """Whether more memory is in use on a device than before."""
        return any(size >= before.get(uuid, 0) + _GROWTH for uuid, size in self.memory.items())


def look(env: Environment, sight: Sight, below: int) -> Idle:
    """Return whether an environment uses its devices now; below: percent that are not enough.

    What its user does on a device counts for each of the environments that the user has there.
    """
    memory: dict[str, int] = {}
    for uuid in env.devices:
        device = sight.snapshot.device(uuid)
        if device is None or sight.is_blind(device):
            return Idle(True)
        memory[uuid] = 0
        for process in sight.snapshot.usage_of(device).processes or ():
            if not _may_be_of(env, process, sight):
                continue
            facts = sight.certain(process)
            if facts is not None and facts.stopped:
                continue
            if (facts is None and process.uid == env.owner.uid) or _works(
                process, device, sight, below
            ):
                return Idle(True)
            memory[uuid] += process.memory or 0
    return Idle(False, memory)


def _may_be_of(env: Environment, process: DeviceProcess, sight: Sight) -> bool:
    """Whether a process is the environment's, or may be: in a container it has another uid."""
    uid = process.uid
    if uid == env.owner.uid:
        return True
    return process.compute and (uid is None or uid == 0 or uid in sight.spared)


def _works(process: DeviceProcess, device: Device, sight: Sight, below: int) -> bool:
    """Whether a process keeps its device busy, or may do so as far as is known."""
    # What a device does in all is at least what each process does.
    busy = process.utilization
    if busy is None:
        busy = sight.snapshot.usage_of(device).utilization
    return busy is None or busy >= below or process.memory is None
