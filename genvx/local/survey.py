"""Asks NVML in a child process, because a wedged driver blocks in the kernel, where no thread can
be cancelled: the child gets a deadline, and is then abandoned, not waited for.

The child writes one line as soon as it knows a device (local/nvml.py), so that one that hangs does
not hide those before it.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from typing import Optional

from genvx.core.device import Device, DeviceUsage, Driver, Health
from genvx.core.devicecodec import DEVICE, USAGE
from genvx.core.fields import Fields, Malformed, loads
from genvx.core.record import replace
from genvx.local import nvml
from genvx.local.inventory import Inventory

DEADLINE = 3.0

_abandoned: list[int] = []


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
        nvml.report(high)
    finally:
        os._exit(0)


def _spawn_child(write: int) -> int:
    code = f"import sys; sys.path[:] = {sys.path!r}; from genvx.local import nvml; nvml.report(1)"
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
                    device = DEVICE.read(pair.raw("device"))
                    devices.append(device)
                    usage[device.uuid] = USAGE.read(pair.raw("usage"))
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
