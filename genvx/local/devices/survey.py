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
from time import monotonic
from typing import TYPE_CHECKING, Optional

from genvx.core.quantities.ages import format_duration
from genvx.core.text import printable
from genvx.core.wire.plain import Malformed
from genvx.local.devices.child import _abandoned, bury, start_child
from genvx.local.devices.deadline import DEADLINE, VARIABLE
from genvx.local.devices.findings import Findings

if TYPE_CHECKING:
    from genvx.local.devices.inventory import Inventory
# Seconds to initialize NVML, and for each device. Without persistence mode the driver initializes a
# GPU again each time somebody asks, which takes a second or two.
_INIT = 5.0
_STEP = 3.0

_DIED = "the process that asked the NVIDIA driver died"


def survey(
    deadline: float = DEADLINE, only: Optional[frozenset[int]] = None, *, sensors: bool = False
) -> Inventory:
    """Ask NVML for all devices and their use, within `deadline` seconds.

    Never raises because of NVML: without a driver the Inventory has no device, and `driver.error`
    says why.

    only: the NVML indices of the devices to ask for; the others, and the links between devices,
    are not asked for. sensors: whether to read their sensors, too, which asks more of the driver.
    """
    bury()
    findings = Findings()
    end = monotonic() + deadline
    while True:
        cause = _ask(findings, end, deadline, only, sensors)
        if cause is None:
            break
        # Each round blames a device, so there are at most as many children as devices, plus one.
        # Which of some devices it was cannot be told: it is the first one that did not answer.
        if only is not None or not findings.blame(cause) or monotonic() >= end:
            findings.give_up(cause)
            break
    return findings.inventory()


def _ask(
    findings: Findings,
    end: float,
    deadline: float,
    only: Optional[frozenset[int]],
    sensors: bool,
) -> Optional[str]:
    """Let a child ask for what is unknown yet; return why it ended early, or None."""
    pid, pipe = start_child(findings.answered, findings.blamed, only, sensors=sensors)
    try:
        return _collect(pipe, findings, end, deadline)
    finally:
        os.close(pipe)
        # A child that has ended is a zombie, which the signal does not affect. One that hangs in
        # the kernel dies when it wakes.
        os.kill(pid, signal.SIGKILL)
        _abandoned.append(pid)
        bury()


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
