"""What NVML has reported so far, line by line; which devices it did not report, and why."""

from __future__ import annotations

from typing import Any, Optional

from genvx.core.device import Device
from genvx.core.text import is_device_id, printable
from genvx.core.usage import DeviceUsage, Driver, Health
from genvx.core.value import replace
from genvx.core.wire.devicecodec import DEVICE, USAGE
from genvx.core.wire.fields import Fields
from genvx.core.wire.plain import Malformed, loads
from genvx.local.devices.inventory import Inventory

_MOST = 4096
_ADVICE = "look at dmesg, or reboot"


class Findings:
    """Collects the lines of one child after another (local/devices/survey.py)."""

    def __init__(self) -> None:
        self._version: Optional[str] = None
        self._error: Optional[str] = None
        self._count: Optional[int] = None
        self._told: dict[int, list[tuple[Device, DeviceUsage]]] = {}
        self._causes: dict[int, str] = {}
        self._addresses: dict[int, tuple[int, ...]] = {}
        self._ways: tuple[str, ...] = ()
        self._notes: list[str] = []
        self._uuids: dict[str, str] = {}
        self.complete = False

    @property
    def answered(self) -> frozenset[int]:
        """The indices of devices that need not be asked again."""
        return frozenset(self._told)

    @property
    def blamed(self) -> frozenset[int]:
        """The indices of devices that must not be asked again."""
        return frozenset(self._causes)

    def take(self, line: bytes) -> None:
        """Read one line.

        Raises:
            Malformed: it is not a line that a child writes.
        """
        fields = Fields(loads(line), "the answer")
        if fields.has("error"):
            self._refused(fields.text("error", 500))
        if fields.has("count"):
            count = fields.integer("count", 0, _MOST)
            if self._count not in (None, count):
                # A GPU has disappeared between two children. Indices shift then, so what the first
                # child reported may be of other devices.
                raise Malformed(f"{count} devices, and {self._count} a moment ago")
            self._version = fields.optional_text("version", 64)
            self._count = count
        if fields.has("devices"):
            index = fields.integer("index", 0, _MOST)
            items = fields.items("devices", _MOST)
            self._told[index] = [self._pair(item, index, n) for n, item in enumerate(items)]
            if fields.has("address"):
                self._addresses[index] = fields.integers("address", 3)
        if fields.has("topology"):
            self._ways = fields.texts("topology", _MOST, _MOST)
        self.complete = self.complete or fields.has("done")

    def _pair(self, item: Any, index: int, number: int) -> tuple[Device, DeviceUsage]:
        """A device with its use; a device that cannot be read or identified costs only itself."""
        # Stands for the UUID of a device that has none: its health keeps it from being handed out.
        place = f"UNKNOWN-{index}-{number}"
        try:
            fields = Fields(item, "the answer")
            device = DEVICE.read(fields.raw("device"))
            usage = USAGE.read(fields.raw("usage"))
        except Malformed as error:
            reason = _odd_uuid(item) or f"the driver's answer cannot be read: {error}"
            self._notes.append(f"GPU {index}: {reason}")
            return _unknown(index, Health.UNHEALTHY, reason, place)
        first = self._uuids.setdefault(device.uuid, device.label)
        if first != device.label:
            # A lease names a UUID, so it would be unknown which of the two is leased.
            reason = f"it has the same UUID as GPU {first}"
            self._notes.append(f"GPU {index}: {reason}")
            usage = DeviceUsage(Health.UNHEALTHY, reason, processes=None)
            return replace(device, uuid=place), usage
        return device, usage

    def blame(self, cause: str) -> bool:
        """Record why the device that was being asked did not answer; return False if none was."""
        index = self._next()
        if index is not None:
            self._causes[index] = cause
        elif self._count:
            self._notes.append(f"the links between the GPUs are unknown: {cause}")
        return index is not None

    def _next(self) -> Optional[int]:
        """The index of the device that a child asks next."""
        known = self.answered | self.blamed
        return next((i for i in range(self._count or 0) if i not in known), None)

    def _refused(self, why: str) -> None:
        if self._count is None:
            self._error = why
        else:
            self.give_up(why)
        self.complete = True

    def give_up(self, cause: str) -> None:
        """Record that no more devices are asked, for this reason."""
        if not self._count:
            self._error = f"{cause}; {_ADVICE}"
        while (index := self._next()) is not None:
            self._causes[index] = cause

    def inventory(self) -> Inventory:
        """Return the devices and their use, as far as they are known.

        Devices that did not answer are in it with an unknown health, which is never handed out.
        """
        if self._error is not None:
            return Inventory(Driver(version=self._version, error=self._error))
        pairs: list[tuple[Device, DeviceUsage]] = []
        for index in range(self._count or 0):
            if index in self._told:
                pairs += self._told[index]
            else:
                cause = self._causes.get(index, "it was not asked")
                pairs.append(_unknown(index, Health.UNKNOWN, cause, f"UNKNOWN-{index}"))
        ways, ordinals = dict(enumerate(self._ways)), self._ordinals()
        devices = tuple(
            replace(
                device,
                topology=ways.get(device.index, ""),
                ordinal=ordinals.get(device.index),
            )
            for device, _ in pairs
        )
        driver = Driver(version=self._version, notes=(*self._notes, *self._causes_told()))
        return Inventory(driver, devices, {device.uuid: usage for device, usage in pairs})

    def _ordinals(self) -> dict[int, int]:
        """The number of each GPU where CUDA counts in PCI order, by its NVML index.

        CUDA may not count a GPU that does not answer, and versions differ in how they count one in
        MIG mode. So no number after such a GPU is certain.
        """
        # A GPU without an address could be anywhere in the PCI order.
        if len(self._addresses) != self._count:
            return {}
        found: dict[int, int] = {}
        for index in sorted(self._addresses, key=lambda index: self._addresses[index]):
            whole = len(self._told[index]) == 1 and self._told[index][0][0].instance is None
            if not whole or self._told[index][0][1].health is not Health.OK:
                break
            found[index] = len(found)
        return found

    def _causes_told(self) -> list[str]:
        """A line for each cause, with the devices that it concerns."""
        found: dict[str, list[str]] = {}
        for index, cause in sorted(self._causes.items()):
            found.setdefault(cause, []).append(str(index))
        return [
            f"GPU{'s' if len(gpus) > 1 else ''} {', '.join(gpus)}: {cause}; {_ADVICE}"
            for cause, gpus in found.items()
        ]


def _unknown(index: int, health: Health, reason: str, place: str) -> tuple[Device, DeviceUsage]:
    """A device of which only the existence is known. place: stands for its UUID."""
    device = Device(uuid=place, index=index, name="unknown", memory=None)
    return device, DeviceUsage(health=health, reason=reason, processes=None)


def _odd_uuid(item: Any) -> Optional[str]:
    try:
        uuid = item["device"]["uuid"]
    except (TypeError, KeyError):
        return None
    if isinstance(uuid, str) and not is_device_id(uuid):
        return f"its UUID has an odd shape: {printable(uuid, 60)!r}"
    return None
