"""What devices a machine has and how they are used now, whoever told: NVML or a simulation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.record import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.device import Device, DeviceUsage, Driver


@dataclass(frozen=True)
class Inventory:
    """The answer of one survey.

    A device without a reading in `usage` counts as idle and healthy.
    """

    driver: Driver
    devices: tuple[Device, ...] = ()
    usage: Mapping[str, DeviceUsage] = field(default_factory=dict)
