"""Asks NVML in a child process, because a wedged driver blocks in the kernel, where no thread can
be cancelled: the child gets deadlines, and is then abandoned, not waited for.

The child writes one line as soon as it knows a device (local/devices/nvml.py). Where it hangs or
dies over one, another child asks for those that are left, without that one: a bad device costs only
itself.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from time import monotonic
from typing import TYPE_CHECKING, Optional

from genvx.core.text import printable
from genvx.core.units import format_duration, parse_duration
from genvx.core.wire.fields import Malformed
from genvx.errors import InvalidInput
from genvx.local.devices import nvml
from genvx.local.devices.findings import Findings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.local.devices.inventory import Inventory

# Seconds for all that is asked; less than what a fan-out gives a host, login included.
DEADLINE = 8.0
VARIABLE = "GENVX_NVML_TIMEOUT"
# Seconds to initialize NVML, and for each device. Where persistence mode is off, the driver
# initializes a GPU anew whenever somebody asks, which takes a second or two.
_INIT = 5.0
_STEP = 3.0

_DIED = "the process that asked the NVIDIA driver died"

_abandoned: list[int] = []


def deadline_in(environ: Mapping[str, str]) -> float:
    """Seconds that $GENVX_NVML_TIMEOUT gives, or the usual.

    Raises:
        InvalidInput: it is not a time.
    """
    text = environ.get(VARIABLE, "")
    if not text:
        return DEADLINE
    try:
        return parse_duration(text)
    except InvalidInput as error:
        raise InvalidInput(f"{VARIABLE}: {error}") from None


def survey(deadline: float = DEADLINE) -> Inventory:
    """Ask NVML for all devices and their use, within `deadline` seconds.

    Never raises for what NVML does.

    No driver is an Inventory with `driver.error` and no device.
    """
    _bury()
    findings = Findings()
    end = monotonic() + deadline
    while True:
        cause = _ask(findings, end, deadline)
        if cause is None:
            break
        # Each turn blames a device, so there are no more children than devices, and one.
        if not findings.blame(cause) or monotonic() >= end:
            findings.give_up(cause)
            break
    return findings.inventory()


def _ask(findings: Findings, end: float, deadline: float) -> Optional[str]:
    """Have a child ask for what is not known yet; return what ended it early, or None."""
    pid, pipe = _start_child(findings.answered, findings.blamed)
    try:
        return _collect(pipe, findings, end, deadline)
    finally:
        os.close(pipe)
        # A child that ended is a zombie and takes no harm; one that hangs in the kernel dies when
        # it wakes.
        os.kill(pid, signal.SIGKILL)
        _abandoned.append(pid)
        _bury()


def _bury() -> None:
    """Collect abandoned children that have died; never wait for one that has not."""
    for pid in list(_abandoned):
        try:
            done = os.waitpid(pid, os.WNOHANG)[0] != 0
        except ChildProcessError:
            done = True
        if done:
            _abandoned.remove(pid)


def _start_child(
    answered: frozenset[int] = frozenset(), blamed: frozenset[int] = frozenset()
) -> tuple[int, int]:
    read, write = os.pipe()
    try:
        if len(os.listdir("/proc/self/task")) == 1:
            pid = _fork_child(write, answered, blamed)
        else:
            # Other threads may hold locks (of the C library, of the import system) that a fork
            # would copy locked: start a fresh interpreter instead.
            pid = _spawn_child(write, answered, blamed)
    except OSError:
        os.close(read)
        raise
    finally:
        os.close(write)
    return pid, read


def _fork_child(write: int, answered: frozenset[int], blamed: frozenset[int]) -> int:
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
        nvml.report(high, answered, blamed)
    finally:
        os._exit(0)


def _spawn_child(write: int, answered: frozenset[int], blamed: frozenset[int]) -> int:
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; from genvx.local.devices import nvml; "
        f"nvml.report(1, {answered!r}, {blamed!r})"
    )
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


def _collect(pipe: int, findings: Findings, end: float, deadline: float) -> Optional[str]:
    """Read lines until all is said; return why it was not, if the child dies, or says nothing for
    longer than one step may take.
    """
    data = b""
    readable = select.poll()  # select() takes no descriptor above 1,023
    readable.register(pipe, select.POLLIN)
    step = max(_INIT, deadline / 2)
    while True:
        limit = min(end, monotonic() + step)
        if not readable.poll(max(0.0, limit - monotonic()) * 1000):
            if limit < end:
                return f"the NVIDIA driver did not answer within {format_duration(step)}"
            return (
                f"the NVIDIA driver did not answer within {format_duration(deadline)} in all "
                f"(more: {VARIABLE}=30s; faster: nvidia-smi -pm 1)"
            )
        part = os.read(pipe, 1 << 16)
        if not part:
            return None if findings.complete else _DIED
        *lines, data = (data + part).split(b"\n")
        try:
            for line in lines:
                findings.take(line)
        except Malformed as error:
            return f"the answer of NVML cannot be read: {printable(str(error), 200)}"
        if findings.complete:
            return None
        step = max(_STEP, deadline / 4)
