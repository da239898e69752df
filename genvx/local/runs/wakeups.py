"""What wakes a supervisor: signals, something to read, or the end of a time.

The signals are blocked and read from a descriptor (signalfd), so none is lost between two looks,
and one call waits for them and for other descriptors. Python's handlers would run anywhere.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
from math import ceil
from typing import Optional

from genvx.core.value import value

SIGNALS = (signal.SIGTERM, signal.SIGCHLD)

# From <sys/signalfd.h>: the sizes of its record and of a set of signals; where the record has the
# signal's number and the uid of the process that sent it.
_RECORD, _SET = 128, 128
_NUMBER, _UID = 0, 16
_LONGEST_MS = 1 << 30  # poll() takes an int


@value
class Wakeup:
    """Why a wait ended. signalled: whether a signal came. sender: the uid that has sent SIGTERM;
    None if nobody has. readable: the descriptors from which something can be read, or that were
    hung up. writable: those that take more.
    """

    signalled: bool = False
    sender: Optional[int] = None
    readable: frozenset[int] = frozenset()
    writable: frozenset[int] = frozenset()


class Wakeups:
    """Blocks SIGTERM and SIGCHLD for this process, and waits for them."""

    def __init__(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        libc = ctypes.CDLL(None, use_errno=True)
        wanted = ctypes.create_string_buffer(_SET)
        libc.sigemptyset(wanted)
        for number in SIGNALS:
            libc.sigaddset(wanted, int(number))
        self._descriptor = libc.signalfd(-1, wanted, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)

    def watch(self, descriptor: int, *, reads: bool = True, writes: bool = False) -> None:
        """End waits also when there is something to read from a descriptor, or it takes more; in
        any case when it was hung up. The last call for a descriptor counts.
        """
        self._poll.register(descriptor, reads * select.POLLIN | writes * select.POLLOUT)

    def forget(self, descriptor: int) -> None:
        """Watch a descriptor no more; to be called before it is closed."""
        self._poll.unregister(descriptor)

    def wait(self, seconds: float) -> Wakeup:
        """Wait until a signal comes or something can be read, or so many seconds."""
        ready = self._poll.poll(min(ceil(max(0.0, seconds) * 1000), _LONGEST_MS))
        readable = {descriptor for descriptor, events in ready if events & ~select.POLLOUT}
        writable = frozenset(number for number, events in ready if events & select.POLLOUT)
        signalled = self._descriptor in readable
        sender = self._received() if signalled else None
        return Wakeup(signalled, sender, frozenset(readable - {self._descriptor}), writable)

    def _received(self) -> Optional[int]:
        sender = None
        while True:
            try:
                record = os.read(self._descriptor, _RECORD)
            except BlockingIOError:
                return sender
            if int.from_bytes(record[_NUMBER : _NUMBER + 4], sys.byteorder) == signal.SIGTERM:
                sender = int.from_bytes(record[_UID : _UID + 4], sys.byteorder)
