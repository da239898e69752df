"""The only door to pynvml.

NVML is asked in a child process, because a wedged driver blocks in the kernel, where no thread can
be cancelled: the child gets a deadline, and is then abandoned, not waited for.

The child writes one line as soon as it knows a device, so that one that hangs does not hide those
before it. Every fact and every reading may fail on its own: what is not supported is None, a device
that fails is lost or unhealthy, and the others go on.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from typing import Any, Callable, Optional

from genvx.core.codec import device_from_plain, device_to_plain, usage_from_plain, usage_to_plain
from genvx.core.device import Device, DeviceProcess, DeviceUsage, Driver, Health
from genvx.core.fields import Fields, Malformed, dumps, loads
from genvx.core.record import replace
from genvx.core.snapshot import DESKTOP_MEMORY
from genvx.core.text import printable
from genvx.local import processes
from genvx.local.inventory import Inventory

DEADLINE = 3.0

_abandoned: list[int] = []


# In the parent


def survey(deadline: float = DEADLINE) -> Inventory:
    """Ask NVML for all devices and their use, within `deadline` seconds.

    Never raises for what NVML does.

    No driver is an Inventory with `driver.error` and no device.
    """
    _bury()
    pid, pipe = _start_child()
    try:
        lines, finished = _collect(pipe, deadline)
    finally:
        os.close(pipe)
        # A child that ended is a zombie and takes no harm; one that hangs in the kernel dies when
        # it wakes.
        os.kill(pid, signal.SIGKILL)
        _abandoned.append(pid)
        _bury()
    return _gather(lines, finished, deadline)


def _bury() -> None:
    """Collect abandoned children that have died; never wait for one that has not."""
    for pid in list(_abandoned):
        try:
            done = os.waitpid(pid, os.WNOHANG)[0] != 0
        except ChildProcessError:
            done = True
        if done:
            _abandoned.remove(pid)


def _start_child() -> tuple[int, int]:
    read, write = os.pipe()
    try:
        if len(os.listdir("/proc/self/task")) == 1:
            pid = _fork_child(write)
        else:
            # Other threads may hold locks (of the C library, of the import system) that a fork
            # would copy locked: start a fresh interpreter instead.
            pid = _spawn_child(write)
    except OSError:
        os.close(read)
        raise
    finally:
        os.close(write)
    return pid, read


def _fork_child(write: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        # Nothing of the parent's may stay open in a child that may hang for ever: neither a lease,
        # which would never be free again, nor a pipe that somebody reads to its end.
        high = os.dup2(write, 3)
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in range(3):
            os.dup2(null, descriptor)
        os.closerange(high + 1, 65536)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        _child(high)
    finally:
        os._exit(0)


def _spawn_child(write: int) -> int:
    code = f"import sys; sys.path[:] = {sys.path!r}; from genvx.local.nvml import _child; _child(1)"
    null = os.open(os.devnull, os.O_RDWR)
    try:
        return os.posix_spawn(
            sys.executable,
            [sys.executable, "-S", "-E", "-c", code],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, null, 0),
                (os.POSIX_SPAWN_DUP2, write, 1),
                (os.POSIX_SPAWN_DUP2, null, 2),
            ],
        )
    finally:
        os.close(null)


def _collect(pipe: int, deadline: float) -> tuple[list[bytes], bool]:
    """Read lines until the child closes its end (True) or the deadline passes (False)."""
    end = time.monotonic() + deadline
    data = b""
    while True:
        left = end - time.monotonic()
        if left <= 0 or not select.select([pipe], [], [], left)[0]:
            return data.split(b"\n")[:-1], False
        part = os.read(pipe, 1 << 16)
        if not part:
            return data.split(b"\n")[:-1], True
        data += part


def _gather(lines: list[bytes], finished: bool, deadline: float) -> Inventory:
    version: Optional[str] = None
    count = 0
    devices: list[Device] = []
    usage: dict[str, DeviceUsage] = {}
    notes: list[str] = []
    answered = 0
    complete = False
    try:
        for line in lines:
            fields = Fields(loads(line), "the answer of NVML")
            if fields.has("error"):
                return Inventory(Driver(version=version, error=fields.text("error", 500)))
            if fields.has("count"):
                version = fields.optional_text("version", 64)
                count = fields.integer("count", 0, 4096)
            if fields.has("devices"):
                answered += 1
                for item in fields.items("devices"):
                    pair = Fields(item, "the answer of NVML")
                    device = device_from_plain(pair.raw("device"))
                    devices.append(device)
                    usage[device.uuid] = usage_from_plain(pair.raw("usage"))
            if fields.has("topology"):
                ways = fields.texts("topology", 4096, 4096)
                devices = [
                    replace(each, topology=ways[each.index]) if each.index < len(ways) else each
                    for each in devices
                ]
            complete = complete or fields.has("done")
    except Malformed as error:
        notes.append(f"NVML's answer cannot be read: {error}")
    if complete:
        return Inventory(Driver(version=version, notes=tuple(notes)), tuple(devices), usage)
    cause = (
        "the process that asked the NVIDIA driver died"
        if finished
        else f"the NVIDIA driver did not answer within {deadline:g} s"
    )
    if not count:
        return Inventory(Driver(version=version, error=f"{cause}; look at dmesg, or reboot"))
    for index in range(answered, count):
        device = Device(uuid=f"UNKNOWN-{index}", index=index, name="unknown", memory=None)
        devices.append(device)
        usage[device.uuid] = DeviceUsage(health=Health.UNKNOWN, reason=cause, processes=None)
    notes.append(f"{cause}; what it told by then is shown; look at dmesg, or reboot")
    return Inventory(Driver(version=version, notes=tuple(notes)), tuple(devices), usage)


# In the child


def _child(descriptor: int) -> None:
    """Ask NVML for everything and write a line of JSON for each thing known."""

    def tell(plain: Any) -> None:
        data = dumps(plain) + b"\n"
        while data:
            data = data[os.write(descriptor, data) :]

    try:
        import pynvml
    except ImportError:
        tell({"error": "the Python module pynvml is missing; pip install nvidia-ml-py"})
        return
    if not hasattr(pynvml, "nvmlMemory_v2") or not hasattr(pynvml, "NVMLLibraryMismatchError"):
        tell(
            {
                "error": "the module pynvml here is the deprecated one; "
                "pip uninstall pynvml && pip install nvidia-ml-py"
            }
        )
        return
    _Reporter(pynvml, tell).report()


class _Reporter:
    """Asks one initialized NVML.

    `nvml` is the module; every call of it may raise either of `failures`.
    """

    def __init__(self, nvml: Any, tell: Callable[[Any], None]) -> None:
        self._nvml = nvml
        self._tell = tell
        # The second is what pynvml raises when the library is older than itself, and it is not an
        # NVMLError.
        self._failures = (nvml.NVMLError, nvml.NVMLLibraryMismatchError)
        self._contained = processes.in_container()

    def report(self) -> None:
        nvml = self._nvml
        try:
            nvml.nvmlInit()
            count = nvml.nvmlDeviceGetCount()
        except self._failures as error:
            self._tell({"error": self._why_no_driver(error)})
            return
        self._tell({"count": count, "version": self._ask(nvml.nvmlSystemGetDriverVersion)})
        for index in range(count):
            self._tell(
                {
                    "devices": [
                        {"device": device_to_plain(device), "usage": usage_to_plain(usage)}
                        for device, usage in self._look_at(index)
                    ]
                }
            )
        self._tell({"topology": self._topology(count)})
        self._tell({"done": True})

    def _topology(self, count: int) -> list[str]:
        """The way from each device to each other, as core/topology.py has it; asked last, for
        nothing but the choice among equals rests on it.
        """
        ways = [["?"] * count for _ in range(count)]
        handles = [self._told(self._nvml.nvmlDeviceGetHandleByIndex, i) for i in range(count)]
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
        """The answer, or None whatever is the matter: of what is sick the readings have told."""
        try:
            return function(*arguments)
        except self._failures:
            return None

    def _why_no_driver(self, error: Exception) -> str:
        nvml = self._nvml
        code = getattr(error, "value", None)
        if code in (nvml.NVML_ERROR_LIBRARY_NOT_FOUND, nvml.NVML_ERROR_DRIVER_NOT_LOADED):
            return "no NVIDIA driver on this host"
        if code == nvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH:
            return (
                "the NVIDIA library and the loaded kernel module are of different versions; "
                "reboot, or reload the module"
            )
        if code == nvml.NVML_ERROR_NO_PERMISSION:
            return "no permission to talk to the NVIDIA driver; look at the modes of /dev/nvidia*"
        return f"NVML does not start: {printable(str(error), 200)}"

    def _ask(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The answer, or None where this driver or device does not tell it.

        What says that the device is gone or sick goes on up.
        """
        try:
            return function(*arguments)
        except self._nvml.NVMLLibraryMismatchError:
            return None
        except self._nvml.NVMLError as error:
            if self._health_of(error) is not None:
                raise
            return None

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
        """The device at `index`; or the MIG instances of it, which hide it."""
        nvml = self._nvml
        device = Device(uuid=f"UNKNOWN-{index}", index=index, name="unknown", memory=None)
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            uuid = nvml.nvmlDeviceGetUUID(handle)
            device = Device(
                uuid=uuid,
                index=index,
                name=self._ask(nvml.nvmlDeviceGetName, handle) or "unknown",
                memory=None,
            )
            if self._has_mig(handle):
                return self._instances(handle, device)
            return [self._read(handle, device)]
        except self._failures as error:
            health = self._health_of(error) or Health.UNHEALTHY
            return [(device, DeviceUsage(health, printable(str(error), 200), processes=None))]

    def _has_mig(self, handle: Any) -> bool:
        mode = self._ask(self._nvml.nvmlDeviceGetMigMode, handle)
        return mode is not None and mode[0] == self._nvml.NVML_DEVICE_MIG_ENABLE

    def _instances(self, handle: Any, parent: Device) -> list[tuple[Device, DeviceUsage]]:
        nvml = self._nvml
        found = []
        for slot in range(self._ask(nvml.nvmlDeviceGetMaxMigDeviceCount, handle) or 0):
            instance = self._ask(nvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, slot)
            if instance is None:
                continue
            uuid = self._ask(nvml.nvmlDeviceGetUUID, instance)
            if uuid is None:
                continue
            device = Device(
                uuid=uuid,
                index=parent.index,
                name=self._ask(nvml.nvmlDeviceGetName, instance) or f"{parent.name} MIG",
                memory=None,
                instance=slot,
                parent=parent.uuid,
            )
            found.append(self._read(instance, device))
        return found

    def _read(self, handle: Any, device: Device) -> tuple[Device, DeviceUsage]:
        total, used = self._memory(handle)
        rates = self._ask(self._nvml.nvmlDeviceGetUtilizationRates, handle)
        known = Device(
            uuid=device.uuid,
            index=device.index,
            name=device.name,
            memory=total,
            instance=device.instance,
            parent=device.parent,
        )
        return known, DeviceUsage(
            memory_used=used,
            utilization=None if rates is None else int(rates.gpu),
            processes=self._processes(handle, used),
        )

    def _memory(self, handle: Any) -> tuple[Optional[int], Optional[int]]:
        """Total and used bytes.

        The second form leaves out the driver's own reserve; old drivers lack it.
        """
        nvml = self._nvml
        memory = self._ask(nvml.nvmlDeviceGetMemoryInfo, handle, nvml.nvmlMemory_v2)
        if memory is None:
            memory = self._ask(nvml.nvmlDeviceGetMemoryInfo, handle)
        if memory is None or not memory.total:
            return None, None
        return int(memory.total), int(memory.used)

    def _processes(self, handle: Any, used: Optional[int]) -> Optional[tuple[DeviceProcess, ...]]:
        """Who uses the device; None where that cannot be seen, which must not look like nobody."""
        nvml = self._nvml
        compute = self._first_known(
            handle,
            nvml.nvmlDeviceGetComputeRunningProcesses_v3,
            nvml.nvmlDeviceGetComputeRunningProcesses_v2,
        )
        if compute is None:
            return None
        graphics = self._first_known(
            handle,
            nvml.nvmlDeviceGetGraphicsRunningProcesses_v3,
            nvml.nvmlDeviceGetGraphicsRunningProcesses_v2,
        )
        if not compute and not graphics and self._contained and (used or 0) >= DESKTOP_MEMORY:
            return None
        computing = {entry.pid for entry in compute}
        return tuple(
            [_process(entry, compute=True) for entry in compute]
            + [
                _process(entry, compute=False)
                for entry in graphics or ()
                if entry.pid not in computing
            ]
        )

    def _first_known(self, handle: Any, *functions: Callable[[Any], Any]) -> Optional[list[Any]]:
        for function in functions:
            entries = self._ask(function, handle)
            if entries is not None:
                return list(entries)
        return None


def _process(entry: Any, *, compute: bool) -> DeviceProcess:
    known = processes.describe(entry.pid)
    memory = None if entry.usedGpuMemory is None else int(entry.usedGpuMemory)
    if known is None:
        return DeviceProcess(int(entry.pid), None, "an unknown user", "", memory, compute)
    user = processes.owner_of(known.uid).name
    return DeviceProcess(known.pid, known.uid, user, known.command, memory, compute)
