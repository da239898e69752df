"""What one round of `genvx enforce` has seen: the input of its decision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from genvx.core.usage import Health
from genvx.core.value import field, value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.device import Device
    from genvx.core.snapshot import Snapshot
    from genvx.core.usage import DeviceProcess


@value
class Facts:
    """What the kernel says about a process.

    starttime: clock ticks since boot; with the pid it names a process in this boot. young: whether
    it may have been started since the driver was asked. exempt: whether its program is.
    """

    pid: int
    uid: int
    starttime: int
    young: bool = False
    stopped: bool = False
    exempt: bool = False


@value
class Sight:
    """The host at one moment.

    facts: of the processes on devices, by pid, read after the driver had replied. spared: uids that
    nothing is done to. only: the one uid that we may act on; None for all.
    """

    snapshot: Snapshot
    facts: Mapping[int, Facts] = field(default_factory=dict)
    spared: frozenset[int] = frozenset()
    only: Optional[int] = None

    def may_hit(self, uid: int) -> bool:
        """Whether something may be done to a user. Root is always left alone."""
        # Containers of Docker compute as root, for whoever has started them, and nobody can say who
        # that was.
        return uid != 0 and uid not in self.spared and self.only in (None, uid)

    def is_blind(self, device: Device) -> bool:
        """Whether it is unknown who uses a device."""
        usage = self.snapshot.usage.get(device.uuid)
        return usage is None or usage.health is not Health.OK or usage.processes is None

    def certain(self, process: DeviceProcess) -> Optional[Facts]:
        """Return what the kernel says about a process that the driver has named; None unless it is
        certainly the same one.
        """
        facts = self.facts.get(process.pid)
        # The driver names pids only. One of a process that ended since it was asked may be another
        # process's by now, and that one is younger than the question.
        if facts is None or facts.young or facts.uid != process.uid:
            return None
        return facts
