"""Operations that ask a host something and change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.snapshot import Snapshot
from genvx.core.value import value
from genvx.core.wire.operation import Operation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.finding import Examination  # noqa: F401  # the reply of Examine
    from genvx.core.policies.policy import Entitlement  # noqa: F401  # the reply of ShowPolicy
    from genvx.core.usage import DeviceProcess


@value
class TakeSnapshot(Operation[Snapshot]):
    """Ask for the host at this moment. holders: also which processes hold its leases. sensors:
    also what the sensors of its GPUs read.
    """

    holders: bool = False
    sensors: bool = False


# The replies of these two are named, not imported: most calls are about neither, and start-up is
# most of what a call costs.
@value
class Examine(Operation["Examination"]):
    """Ask what is wrong on the host, and for its clock."""


@value
class ShowPolicy(Operation["Entitlement"]):
    """Ask what the host's policy allows us."""


@value
class OwnUse:
    """A host, and which processes on its devices belong to one environment.

    own: the environment's pids on each of its devices, by the device's UUID.
    """

    snapshot: Snapshot
    own: Mapping[str, tuple[int, ...]]

    def processes(self) -> dict[str, list[DeviceProcess]]:
        """The processes of the environment on each device, by its UUID."""
        return {
            device.uuid: [
                process
                for process in self.snapshot.usage_of(device).processes or ()
                if process.pid in self.own.get(device.uuid, ())
            ]
            for device in self.snapshot.devices
        }


@value
class ShowUse(Operation[OwnUse]):
    """Ask for the host, and for the use of its devices by one of our environments."""

    environment_id: str


@value
class FindPort(Operation[int]):
    """Ask for a TCP port on which nobody listens just now."""
