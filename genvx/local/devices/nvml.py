"""The only door to pynvml; it is used in a child process (local/devices/survey.py).

Every fact and every reading may fail by itself: unsupported ones become None, a failing device is
lost or unhealthy, and the others continue.
"""

from __future__ import annotations

import os
import time
from typing import Any, Callable, Optional

from genvx.core.device import Device
from genvx.core.snapshot import DESKTOP_MEMORY
from genvx.core.text import printable
from genvx.core.usage import DeviceProcess, DeviceUsage, Health
from genvx.core.wire.devicecodec import DEVICE, USAGE
from genvx.core.wire.plain import dumps
from genvx.local import facts
from genvx.local.devices import driverlibrary
from genvx.local.devices.inventory import process_on_device
from genvx.local.devices.sensors import read_sensors

# NVML samples the processes at least once a second; older samples are of what has ended.
_RECENT_US = 2_000_000
_NO_DRIVER = "no NVIDIA driver on this host"


def report(
    descriptor: int,
    answered: frozenset[int] = frozenset(),
    blamed: frozenset[int] = frozenset(),
    only: Optional[frozenset[int]] = None,
    *,
    sensors: bool = False,
) -> None:
    """Ask NVML for everything, and write a line of JSON for each thing as soon as it is known.

    answered: devices that have been reported already. blamed: devices on which an earlier child
    hung or died. only: the devices to report, without the links between them; None for all.
    sensors: also read those of each GPU.
    """

    def tell(plain: Any) -> None:
        # One line at once, unbuffered: if the driver hangs at the next device, the parent has this
        # one.
        data = dumps(plain) + b"\n"
        while data:
            data = data[os.write(descriptor, data) :]

    # Before pynvml, which takes longer to import than all else here, and is of no use without.
    if not driverlibrary.load():
        tell({"error": _NO_DRIVER})
        return
    try:
        import pynvml
    except ImportError:
        tell({"error": "the Python module pynvml is missing; pip install nvidia-ml-py"})
        return
    # A package named pynvml installs an old module of that name over the one of nvidia-ml-py.
    # Without these names it would fail at the first device, with an obscure error.
    if not hasattr(pynvml, "nvmlMemory_v2") or not hasattr(pynvml, "NVMLLibraryMismatchError"):
        tell(
            {
                "error": "the module pynvml here is the deprecated one; "
                "pip uninstall pynvml && pip install nvidia-ml-py"
            }
        )
        return
    _Reporter(pynvml, tell, sensors=sensors).report(answered, blamed, only)


class _Reporter:
    """Asks one NVML.

    `nvml` is the module; each of its calls may raise any of `failures`.
    """

    def __init__(self, nvml: Any, tell: Callable[[Any], None], *, sensors: bool) -> None:
        self._nvml = nvml
        self._with_sensors = sensors
        self._tell = tell
        # pynvml raises the second if the library is older than itself. It is not an NVMLError.
        self._failures = (nvml.NVMLError, nvml.NVMLLibraryMismatchError)
        self._contained = facts.in_container()

    def report(
        self,
        answered: frozenset[int],
        blamed: frozenset[int],
        only: Optional[frozenset[int]],
    ) -> None:
        nvml = self._nvml
        try:
            nvml.nvmlInit()
            count = nvml.nvmlDeviceGetCount()
        except self._failures as error:
            self._tell({"error": self._why_no_driver(error)})
            return
        self._tell({"count": count, "version": self._text(nvml.nvmlSystemGetDriverVersion)})
        for index in range(count):
            if index in answered or index in blamed or (only is not None and index not in only):
                continue
            found = self._look_at(index)
            self._tell(
                {
                    "index": index,
                    "devices": [
                        {"device": DEVICE.write(device), "usage": USAGE.write(usage)}
                        for device, usage in found
                    ],
                    "address": self._address(index),
                }
            )
        if only is None:
            self._tell({"topology": self._topology(count, blamed)})
        self._tell({"done": True})

    def _address(self, index: int) -> Optional[list[int]]:
        """The device's address on the PCI bus; None if unknown."""
        handle = self._told(self._nvml.nvmlDeviceGetHandleByIndex, index)
        found = None if handle is None else self._told(self._nvml.nvmlDeviceGetPciInfo, handle)
        return None if found is None else [int(found.domain), int(found.bus), int(found.device)]

    def _topology(self, count: int, blamed: frozenset[int]) -> list[str]:
        """The link between each pair of devices, as in core/placing/topology.py.

        Asked last: only the choice among equal devices depends on it.
        """
        ways = [["?"] * count for _ in range(count)]
        handles = [
            None if i in blamed else self._told(self._nvml.nvmlDeviceGetHandleByIndex, i)
            for i in range(count)
        ]
        for one in range(count):
            for other in range(one):
                if handles[one] is not None and handles[other] is not None:
                    way = self._way(handles[one], handles[other])
                    ways[one][other] = ways[other][one] = way
            ways[one][one] = "X"
        return ["".join(row) for row in ways]

    def _way(self, one: Any, other: Any) -> str:
        nvml = self._nvml
        linked = self._told(
            nvml.nvmlDeviceGetP2PStatus, one, other, nvml.NVML_P2P_CAPS_INDEX_NVLINK
        )
        if linked == nvml.NVML_P2P_STATUS_OK:
            return "V"
        level = self._told(nvml.nvmlDeviceGetTopologyCommonAncestor, one, other)
        return {
            nvml.NVML_TOPOLOGY_INTERNAL: "I",
            nvml.NVML_TOPOLOGY_SINGLE: "I",
            nvml.NVML_TOPOLOGY_MULTIPLE: "B",
            nvml.NVML_TOPOLOGY_HOSTBRIDGE: "H",
            nvml.NVML_TOPOLOGY_NODE: "N",
            nvml.NVML_TOPOLOGY_SYSTEM: "S",
        }.get(level, "?")

    def _told(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The answer, or None on any failure: the readings have reported sick devices already."""
        try:
            return function(*arguments)
        except self._failures:
            return None

    def _why_no_driver(self, error: Exception) -> str:
        nvml = self._nvml
        code = getattr(error, "value", None)
        if code in (nvml.NVML_ERROR_LIBRARY_NOT_FOUND, nvml.NVML_ERROR_DRIVER_NOT_LOADED):
            return _NO_DRIVER
        # As after an upgrade of the driver: the library on disk is new, the module in the kernel is
        # the old one until it is reloaded.
        if code == nvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH:
            return (
                "the NVIDIA library and the loaded kernel module are of different versions; "
                "reboot, or reload the module"
            )
        if code == nvml.NVML_ERROR_NO_PERMISSION:
            return "no permission to talk to the NVIDIA driver; look at the modes of /dev/nvidia*"
        return f"NVML does not start: {printable(str(error), 200)}"

    def _ask(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The answer, or None if this driver or device does not support the question.

        An error that says that the device is lost or sick is raised.
        """
        try:
            return function(*arguments)
        except self._nvml.NVMLLibraryMismatchError:
            return None
        except self._nvml.NVMLError as error:
            if self._health_of(error) is not None:
                raise
            return None

    def _text(self, function: Callable[..., Any], *arguments: Any) -> Optional[str]:
        """A text, or None as with `_ask`."""
        found: Optional[str] = self._ask(_decoded, function, *arguments)
        return found

    def _health_of(self, error: Exception) -> Optional[Health]:
        nvml = self._nvml
        code = getattr(error, "value", None)
        if code == nvml.NVML_ERROR_GPU_IS_LOST:
            return Health.LOST
        sick = (
            nvml.NVML_ERROR_RESET_REQUIRED,
            nvml.NVML_ERROR_UNKNOWN,
            nvml.NVML_ERROR_TIMEOUT,
            nvml.NVML_ERROR_IRQ_ISSUE,
        )
        return Health.UNHEALTHY if code in sick else None

    def _look_at(self, index: int) -> list[tuple[Device, DeviceUsage]]:
        """The device at `index`, or its MIG instances, which replace it."""
        nvml = self._nvml
        device = Device(uuid=f"UNKNOWN-{index}", index=index, name="unknown", memory=None)
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            uuid = _decoded(nvml.nvmlDeviceGetUUID, handle)
            device = Device(
                uuid=uuid,
                index=index,
                name=self._text(nvml.nvmlDeviceGetName, handle) or "unknown",
                memory=None,
            )
            if self._has_mig(handle):
                return self._instances(handle, device)
            return [self._read(handle, device)]
        except self._failures as error:
            health = self._health_of(error) or Health.UNHEALTHY
            # Reported as sick rather than left out: a missing device would look like a smaller
            # machine, and leases on it would seem to be of a device that does not exist.
            return [(device, DeviceUsage(health, printable(str(error), 200), processes=None))]

    def _has_mig(self, handle: Any) -> bool:
        mode = self._ask(self._nvml.nvmlDeviceGetMigMode, handle)
        return mode is not None and mode[0] == self._nvml.NVML_DEVICE_MIG_ENABLE

    def _instances(self, handle: Any, parent: Device) -> list[tuple[Device, DeviceUsage]]:
        nvml = self._nvml
        found = []
        for slot in range(self._ask(nvml.nvmlDeviceGetMaxMigDeviceCount, handle) or 0):
            # Slots are not contiguous: an instance that was destroyed leaves an empty one.
            instance = self._ask(nvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, slot)
            if instance is None:
                continue
            uuid = self._text(nvml.nvmlDeviceGetUUID, instance)
            if uuid is None:
                continue
            device = Device(
                uuid=uuid,
                index=parent.index,
                name=self._text(nvml.nvmlDeviceGetName, instance) or f"{parent.name} MIG",
                memory=None,
                instance=slot,
                parent=parent.uuid,
            )
            found.append(self._read(instance, device))
        return found

    def _read(self, handle: Any, device: Device) -> tuple[Device, DeviceUsage]:
        total, used, unified = self._memory(handle, whole=device.instance is None)
        rates = self._ask(self._nvml.nvmlDeviceGetUtilizationRates, handle)
        known = Device(
            uuid=device.uuid,
            index=device.index,
            name=device.name,
            memory=total,
            instance=device.instance,
            parent=device.parent,
            unified=unified,
        )
        return known, DeviceUsage(
            memory_used=used,
            utilization=None if rates is None else int(rates.gpu),
            processes=self._processes(handle, 0 if unified else used or 0),
            # The sensors are the GPU's: an instance of it would only repeat them.
            sensors=read_sensors(self._nvml, self._told, handle)
            if self._with_sensors and device.instance is None
            else None,
        )

    def _memory(self, handle: Any, *, whole: bool) -> tuple[Optional[int], Optional[int], bool]:
        """Total and used bytes, and whether the memory is also the system's.

        The second version of the call leaves out the driver's own reserve; old drivers lack it.
        """
        nvml = self._nvml
        memory = self._ask(nvml.nvmlDeviceGetMemoryInfo, handle, nvml.nvmlMemory_v2)
        if memory is None:
            try:
                memory = nvml.nvmlDeviceGetMemoryInfo(handle)
            except self._failures as error:
                code = getattr(error, "value", None)
                if self._health_of(error) is not None:
                    raise
                if whole and code == nvml.NVML_ERROR_NOT_SUPPORTED:
                    # The device has no memory of its own, but uses the system's (GB10, Jetson).
                    return (*facts.system_memory(), True)
                return None, None, False
        if not memory.total:
            return None, None, False
        return int(memory.total), int(memory.used), self._coherent(handle)

    def _coherent(self, handle: Any) -> bool:
        """Whether the device's memory is also a NUMA node of the system (GH200).

        The kernel may keep data there, which belongs to no process on the device.
        """
        ask = getattr(self._nvml, "nvmlDeviceGetAddressingMode", None)
        return (
            ask is not None
            and self._told(ask, handle) == self._nvml.NVML_DEVICE_ADDRESSING_MODE_ATS
        )

    def _processes(self, handle: Any, used: int) -> Optional[tuple[DeviceProcess, ...]]:
        """Who uses the device; None if that cannot be seen, which must not look like nobody."""
        nvml = self._nvml
        compute = self._first_known(
            handle,
            nvml.nvmlDeviceGetComputeRunningProcesses_v3,
            nvml.nvmlDeviceGetComputeRunningProcesses_v2,
        )
        if compute is None:
            return None
        # Some drivers list the clients of MPS separately. Without them a client would use a device
        # that looks idle.
        known = {entry.pid for entry in compute}
        clients = self._first_known(
            handle,
            *(
                getattr(nvml, f"nvmlDeviceGetMPSComputeRunningProcesses_v{version}")
                for version in (3, 2)
                if hasattr(nvml, f"nvmlDeviceGetMPSComputeRunningProcesses_v{version}")
            ),
        )
        compute += [entry for entry in clients or () if entry.pid not in known]
        graphics = self._first_known(
            handle,
            nvml.nvmlDeviceGetGraphicsRunningProcesses_v3,
            nvml.nvmlDeviceGetGraphicsRunningProcesses_v2,
        )
        # In a container NVML may hide all processes and report an empty list. If memory is in use,
        # somebody uses it, and the honest answer is that nobody can be seen.
        if not compute and not graphics and self._contained and used >= DESKTOP_MEMORY:
            return None
        computing = {entry.pid for entry in compute}
        # A process may be in both lists. It computes then, which counts even if it uses little.
        drawing = [entry for entry in graphics or () if entry.pid not in computing]
        busy = self._busy(handle) if computing or drawing else None
        return tuple(
            _process(entry, None if busy is None else busy.get(entry.pid, 0), compute=compute)
            for compute, entries in ((True, compute), (False, drawing))
            for entry in entries
        )

    def _busy(self, handle: Any) -> Optional[dict[int, int]]:
        """Percent of the device that each process keeps busy, without idle ones; None if
        unsupported.

        It is only shown, so an error here does not make the device unhealthy.
        """
        nvml = self._nvml
        since = time.time_ns() // 1000 - _RECENT_US
        try:
            samples = nvml.nvmlDeviceGetProcessUtilization(handle, since)
        except self._failures as error:
            # NOT_FOUND means that no process was busy since then. pynvml asks for the size of the
            # list first, and some versions raise SUCCESS for an empty one.
            idle = (nvml.NVML_SUCCESS, nvml.NVML_ERROR_NOT_FOUND)
            return {} if getattr(error, "value", None) in idle else None
        # Sorted so that the newest sample of a process wins. Some drivers fill unused entries with
        # garbage, which has an impossible share or an old time.
        return {
            int(sample.pid): int(sample.smUtil)
            for sample in sorted(samples, key=lambda sample: int(sample.timeStamp))
            if sample.timeStamp > since and sample.smUtil <= 100
        }

    def _first_known(self, handle: Any, *functions: Callable[[Any], Any]) -> Optional[list[Any]]:
        for function in functions:
            entries = self._ask(function, handle)
            if entries is not None:
                return list(entries)
        return None


def _decoded(function: Callable[..., str], *arguments: Any) -> str:
    """A text of the driver; bytes that are not UTF-8 are replaced."""
    try:
        return function(*arguments)
    except UnicodeDecodeError as error:
        return error.object.decode("utf-8", "replace")


def _process(entry: Any, utilization: Optional[int], *, compute: bool) -> DeviceProcess:
    memory = None if entry.usedGpuMemory is None else int(entry.usedGpuMemory)
    return process_on_device(int(entry.pid), memory, utilization, compute=compute)
