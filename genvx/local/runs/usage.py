"""What one attempt of a run has used: its processes as the kernel counts them, and samples.

The memory of a tree of processes and the use of GPUs are known only at the moment at which
somebody looks. Between two looks a peak is missed, except that of a single process.
"""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Optional

from genvx.core.runs.run import Usage
from genvx.errors import GenvxError
from genvx.local.runs import tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from genvx.core.device import Device
    from genvx.core.usage import DeviceUsage
    from genvx.local.machine import Machine

# Seconds: when it is sampled first, and how often at last. In between it is sampled whenever the
# attempt has lasted twice as long as at the last time.
_FIRST, _AT_LAST = 2.0, 60.0


class Meter:
    """Measures an attempt of a run on these devices, from now on."""

    def __init__(self, host: Machine, devices: Sequence[Device]) -> None:
        self._host = host
        self._devices = tuple(devices)
        self._began = self._sampled = monotonic()
        self._due = self._began + _FIRST
        self._user = self._system = 0.0
        self._memory: Optional[int] = None
        self._gpu_memory: Optional[int] = None
        # Percent times seconds, and the seconds, of the samples in which the driver said them.
        self._busy = self._seconds = 0.0

    @property
    def due(self) -> float:
        """Seconds until the next sample."""
        return max(0.0, self._due - monotonic())

    def collected(self, used: resource.struct_rusage) -> None:
        """Count a process of the attempt that has ended, with those that it has waited for."""
        self._user += used.ru_utime
        self._system += used.ru_stime
        # The kernel counts what the process had when it was still a copy of us, before exec. So a
        # peak below our own says nothing.
        if used.ru_maxrss > resource.getrusage(resource.RUSAGE_SELF).ru_maxrss:
            self._memory = max(self._memory or 0, used.ru_maxrss * 1024)

    def sample(self) -> None:
        """Look at what it uses now, if that is due."""
        now = monotonic()
        if now < self._due:
            return
        self._due = now + min(_AT_LAST, now - self._began)
        # Where no descriptor is free, a sample is missing, and the run goes on.
        with suppress(OSError):
            self._look(now)

    def _look(self, now: float) -> None:
        pids = frozenset(tree.descendants(os.getpid(), self._host.questions()))
        found = [size for size in map(_memory_of, pids) if size is not None]
        if found:
            self._memory = max(self._memory or 0, sum(found))
        if self._devices:
            self._sample_devices(pids, now - self._sampled)
        self._sampled = now

    def _sample_devices(self, pids: frozenset[int], seconds: float) -> None:
        # A driver that hangs leaves a process behind that cannot be ended. One is enough.
        if self._host.questions():
            return
        uses: Mapping[str, DeviceUsage] = {}
        with suppress(GenvxError):
            uses = self._host.use_of(self._devices)
        known = [use for device in self._devices if (use := _use_by(pids, uses.get(device.uuid)))]
        memories = [memory for memory, _ in known if memory is not None]
        if memories:
            self._gpu_memory = max(self._gpu_memory or 0, *memories)
        shares = [share for _, share in known if share is not None]
        if shares:
            self._busy += sum(shares) / len(shares) * seconds
            self._seconds += seconds

    def usage(self) -> Usage:
        """What was used up to now."""
        return Usage(
            round(self._user, 3),
            round(self._system, 3),
            self._memory,
            self._gpu_memory,
            round(self._busy / self._seconds) if self._seconds else None,
        )


def _use_by(
    pids: frozenset[int], usage: Optional[DeviceUsage]
) -> Optional[tuple[Optional[int], Optional[int]]]:
    """The bytes and the percent of a device that these processes use; None if nobody can say."""
    if usage is None or usage.processes is None:
        return None
    own = [process for process in usage.processes if process.pid in pids]
    # In a container the driver may know our processes by other pids than we do.
    if not own and any(process.uid is None for process in usage.processes):
        return None
    share = _sum(process.utilization for process in own)
    return _sum(process.memory for process in own), None if share is None else min(share, 100)


def _sum(parts: Iterable[Optional[int]]) -> Optional[int]:
    """A sum of which every part must be known."""
    total = 0
    for part in parts:
        if part is None:
            return None
        total += part
    return total


def _memory_of(pid: int) -> Optional[int]:
    """The bytes of memory of a process; what several share is divided among them."""
    shares = f"/proc/{pid}/smaps_rollup"
    with suppress(OSError, ValueError, IndexError), open(shares, "rb") as file:
        for line in file:
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024
    # Another user's process, such as one of sudo, or an old kernel.
    with suppress(OSError, ValueError, IndexError), open(f"/proc/{pid}/statm", "rb") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return None
