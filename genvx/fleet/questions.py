"""What a host of a hostfile is asked and what is made of its answer, however it is reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from genvx.core.wire import questions
from genvx.fleet.offer import offered

if TYPE_CHECKING:
    from genvx.core.policies.policy import Entitlement
    from genvx.core.snapshot import Snapshot
    from genvx.core.usage import DeviceProcess
    from genvx.core.wire.operation import Operation
    from genvx.fleet.hosts.hostspec import HostSpec

R = TypeVar("R")


class Questions:
    """A host of a hostfile, as far as it is only asked something."""

    @property
    def spec(self) -> HostSpec:
        """The host's line of the hostfile."""
        raise NotImplementedError

    def answer(self, operation: Operation[R], *, patience: float = 0.0) -> R:
        """Perform an operation with one reply on the host, and return the reply."""
        raise NotImplementedError

    def snapshot(self, *, holders: bool = False, sensors: bool = False) -> Snapshot:
        """Take a snapshot of the host, with the devices that the hostfile offers.

        holders: also find the processes that hold leases. sensors: also read those of its GPUs.
        """
        return offered(self.spec, self.answer(questions.TakeSnapshot(holders, sensors)))

    def entitlement(self) -> Entitlement:
        """Return what the policy of the host allows us."""
        return self.answer(questions.ShowPolicy())

    def smi(self, environment: str) -> tuple[Snapshot, dict[str, list[DeviceProcess]]]:
        """Return a snapshot, and the processes of our environment on each device, by UUID.

        Raises:
            UnknownEnvironment: there is none.
        """
        use = self.answer(questions.ShowUse(environment))
        return offered(self.spec, use.snapshot), use.processes()
