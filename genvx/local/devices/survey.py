"""Asks NVML in a child process that has deadlines, and is abandoned when it hangs.

A wedged driver blocks in the kernel, where no thread can be cancelled; a process can be left
behind. It is never waited for.

The child writes a line as soon as it knows a device (local/devices/nvml.py). If it hangs or dies
over one, another child asks for the remaining devices without that one: a bad device costs only
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
from genvx.local import fresh
from genvx.local.devices import nvml
from genvx.local.devices.findings import Findings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.local.devices.inventory import Inventory

# Seconds for the whole survey. A fan-out gives a host more than this, login included, so that a
# hanging driver is an answer, and not a host that did not answer.
DEADLINE = 8.0
VARIABLE = "GENVX_NVML_TIMEOUT"
# Seconds to initialize NVML, and for each device. Without persistence mode the driver initializes a
# GPU again each time somebody asks, which takes a second or two.
_INIT = 5.0
_STEP = 3.0

_DIED = "the process that asked the NVIDIA driver died"

# Children that were killed but may still be blocked in the kernel. Kept to be reaped later: a long
# program would otherwise collect zombies.
_abandoned: list[int] = []


def deadline_in(environ: Mapping[str, str]) -> float:
    """Return the seconds of $GENVX_NVML_TIMEOUT, or the default.

    Raises:
        InvalidInput: it is not a duration.
    """
    text = environ.get(VARIABLE, "")
    if not text:
        return DEADLINE
    try:
        return parse_duration(text)
    except InvalidInput as error:
        raise InvalidInput(f"{VARIABLE}: {error}") from None


def abandoned() -> frozenset[int]:
    """Return the pids of children that were killed and have not ended yet."""
    _bury()
    return frozenset(_abandoned)


def survey(deadline: float = DEADLINE, only: Optional[frozenset[int]] = None) -> Inventory:
    """Ask NVML for all devices and their use, within `deadline` seconds.

    Never raises because of NVML: without a driver the Inventory has no device, and `driver.error`
    says why.

    only: the NVML indices of the devices to ask for; the others, and the links between devices,
    are not asked for.
    """
    _bury()
    findings = Findings()
    end = monotonic() + deadline
    while True:
        cause = _ask(findings, end, deadline, only)
        if cause is None:
            break
        # Each round blames a device, so there are at most as many children as devices, plus one.
        # Which of some devices it was cannot be told: it is the first one that did not answer.
        if only is not None or not findings.blame(cause) or monotonic() >= end:
            findings.give_up(cause)
            break
    return findings.inventory()


def _ask(
    findings: Findings, end: float, deadline: float, only: Optional[frozenset[int]]
) -> Optional[str]:
    """Let a child ask for what is unknown yet; return why it ended early, or None."""
    pid, pipe = _start_child(findings.answered, findings.blamed, only)
    try:
        return _collect(pipe, findings, end, deadline)
    finally:
        os.close(pipe)
        # A child that has ended is a zombie, which the signal does not affect. One that hangs in
        # the kernel dies when it wakes.
        os.kill(pid, signal.SIGKILL)
        _abandoned.append(pid)
        _bury()


def _bury() -> None:
    """Reap abandoned children that have died; never wait for one that has not."""
    for pid in list(_abandoned):
        try:
            done = os.waitpid(pid, os.WNOHANG)[0] != 0
        except ChildProcessError:
            done = True
        if done:
            _abandoned.remove(pid)


def _start_child(
    answered: frozenset[int] = frozenset(),
    blamed: frozenset[int] = frozenset(),
    only: Optional[frozenset[int]] = None,
) -> tuple[int, int]:
    read, write = os.pipe()
    try:
        if len(os.listdir("/proc/self/task")) == 1:
            pid = _fork_child(write, answered, blamed, only)
        else:
            # Other threads may hold locks, of the C library or the import system, which a fork
            # would copy as locked for ever. A fresh interpreter has none.
            pid = _spawn_child(write, answered, blamed, only)
    except OSError:
        os.close(read)
        raise
    finally:
        os.close(write)
    return pid, read


def _fork_child(
    write: int,
    answered: frozenset[int],
    blamed: frozenset[int],
    only: Optional[frozenset[int]],
) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        # The child may hang for ever, so no descriptor of the parent may stay open in it: a lease
        # would never become free, and a reader of a pipe would never see its end.
        high = os.dup2(write, 3)
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in range(3):
            os.dup2(null, descriptor)
        os.closerange(high + 1, 65536)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        nvml.report(high, answered, blamed, only)
    finally:
        os._exit(0)


def _spawn_child(
    write: int,
    answered: frozenset[int],
    blamed: frozenset[int],
    only: Optional[frozenset[int]],
) -> int:
    code = (
        f"from genvx.local.devices import nvml; nvml.report(1, {answered!r}, {blamed!r}, {only!r})"
    )
    null = os.open(os.devnull, os.O_RDWR)
    try:
        return os.posix_spawn(
            sys.executable,
            fresh.command(code),
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
    """Read lines until the child is done; return why it was not, or None.

    It fails if the child dies, or writes nothing for longer than one step may take.
    """
    data = b""
    readable = select.poll()  # select() fails for descriptors above 1,023
    readable.register(pipe, select.POLLIN)
    # A deadline for each step as well as for all: otherwise the first bad device would use up the
    # time of all the others. Longer with a longer total, which people choose for slow drivers.
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
