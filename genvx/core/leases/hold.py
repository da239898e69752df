"""The base of every hold on devices, local, remote or fake."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.leases.starter import Starter

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.core.device import Device
    from genvx.core.leases.grant import Grant
    from genvx.errors import HostLost


class BaseHold(Starter):
    """Devices that are held until `release`, the end of the block, or the death of this process."""

    grant: Grant

    @property
    def devices(self) -> tuple[Device, ...]:
        """The devices that are held."""
        return self.grant.devices

    @property
    def environment_id(self) -> str:
        """The id of the environment that holds the devices."""
        return self.grant.environment_id

    def on_loss(self, call: Callable[[HostLost], object]) -> None:
        """Register `call`, which is called in another thread if the host of the devices is lost."""

    def release(self) -> None:
        """Give the devices back. Idempotent."""
        raise NotImplementedError
