"""Who uses which device, told by the kernel and by nothing of genvx.

A file per device, a byte for each tenth of its memory; whoever uses a tenth holds an open-file-
description lock on its byte. Two users of one byte are a device that was granted twice.

Also a program: `python3 oracle.py DIRECTORY SECONDS TOLD` uses the devices of $CUDA_VISIBLE_DEVICES
for a while, as a job does, and appends a line to TOLD: used, or double and which device. A path in
place of SECONDS means until that file is there; then it also appends "ended", and its exit code is
CODE.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import sys
import time
from collections.abc import Iterable

UNITS = 10
_TURN = 1000  # the byte whose lock says whose turn it is to claim

# A process that dies gives up its highest descriptors first. The oracle's must be higher than those
# of its lease, or the device would seem to be used by two when it has just changed hands.
_LEAST_DESCRIPTOR = 400


class Oracle:
    """Claims of one process. directory: one that all of them share and may write."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._files: dict[str, int] = {}

    def claim(self, device: str, units: int = UNITS) -> bool:
        """Use tenths of a device; False if that many are not unused, which must never be."""
        descriptor = self._open(device)
        # Meanwhile others may only give back, so one look at each byte misses none that is unused.
        _lock(descriptor, fcntl.F_OFD_SETLKW, fcntl.F_WRLCK, _TURN)
        try:
            got = 0
            for unit in range(UNITS):
                if got < units and _try(descriptor, unit):
                    got += 1
            return got == units
        finally:
            _lock(descriptor, fcntl.F_OFD_SETLK, fcntl.F_UNLCK, _TURN)

    def give_back(self, device: str | None = None) -> None:
        """Use a device no more, or nothing at all. Before the lease is released, never after."""
        for name in list(self._files) if device is None else [device]:
            os.close(self._files.pop(name))

    def _open(self, device: str) -> int:
        if device not in self._files:
            low = os.open(os.path.join(self._directory, device), os.O_RDWR | os.O_CLOEXEC)
            try:
                self._files[device] = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, _LEAST_DESCRIPTOR)
            finally:
                os.close(low)
        return self._files[device]


def prepare(directory: str, devices: Iterable[str]) -> None:
    """Make the files of all devices, for every user to lock."""
    for device in devices:
        descriptor = os.open(os.path.join(directory, device), os.O_RDWR | os.O_CREAT | os.O_EXCL)
        os.fchmod(descriptor, 0o666)
        os.close(descriptor)


def _lock(descriptor: int, operation: int, kind: int, start: int) -> None:
    fcntl.fcntl(descriptor, operation, struct.pack("hhqqi4x", kind, os.SEEK_SET, start, 1, 0))


def _try(descriptor: int, unit: int) -> bool:
    try:
        _lock(descriptor, fcntl.F_OFD_SETLK, fcntl.F_WRLCK, unit)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


CODE = 7


def main(directory: str, lasts: str, told: str) -> int:
    oracle = Oracle(directory)
    devices = [name for name in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if name]
    words = [f"double {device}" for device in devices if not oracle.claim(device)]
    descriptor = os.open(told, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.write(descriptor, "".join(f"{word}\n" for word in words or ["used"]).encode())
    if not os.path.isabs(lasts):
        time.sleep(float(lasts))
        return 0
    while not os.path.exists(lasts):
        time.sleep(0.01)
    os.write(descriptor, b"ended\n")
    return CODE


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
