"""What workers print goes to our stderr, a line at a time, with the name of the host in front."""

from __future__ import annotations

import os
import re
import select
import sys
import threading
from typing import TYPE_CHECKING

from genvx.core.text import printable

if TYPE_CHECKING:
    from genvx.fleet.executing.member import Member

_READ = 65536
# A line without an end would fill the memory.
_LONGEST = 4000


class Printer:
    """Printer reads what all workers print, in a thread of its own: where our stderr is not read,
    the workers wait, and results go on.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        # Its write end is closed to end the thread.
        self._stop, self._alive = os.pipe()
        self._epoll.register(self._stop, select.EPOLLIN)
        self._lock = threading.Lock()
        self._sources: dict[int, _Source] = {}
        self._thread = threading.Thread(target=self._run, name="genvx printer", daemon=True)
        self._thread.start()

    def add(self, member: Member) -> None:
        """Print what this worker prints until its end; then set `member.printed`."""
        with self._lock:
            self._sources[member.errors] = _Source(member)
            self._epoll.register(member.errors, select.EPOLLIN)

    def drop(self, member: Member) -> None:
        """Print no more of this worker; call it before its descriptors are closed."""
        with self._lock:
            source = self._sources.pop(member.errors, None)
            if source is not None:
                self._epoll.unregister(member.errors)
        if source is not None:
            source.drop()

    def close(self) -> None:
        """End the thread."""
        os.close(self._alive)
        self._thread.join()
        self._epoll.close()
        os.close(self._stop)

    def _run(self) -> None:
        while True:
            for descriptor, _ in self._epoll.poll():
                if descriptor == self._stop:
                    return
                with self._lock:
                    source = self._sources.get(descriptor)
                # Without the lock: our stderr may block, and workers come and go meanwhile.
                if source is None or source.read(descriptor):
                    continue
                with self._lock:
                    if self._sources.pop(descriptor, None) is not None:
                        self._epoll.unregister(descriptor)


class _Source:
    def __init__(self, member: Member) -> None:
        self._member = member
        self._rest = b""
        # Held while the descriptor is read, which never blocks.
        self._lock = threading.Lock()
        self._dropped = False

    def read(self, descriptor: int) -> bool:
        """Read once and print what is complete; return False at the end."""
        with self._lock:
            if self._dropped:
                return False
            try:
                data = os.read(descriptor, _READ)
            except BlockingIOError:
                return True
        # A bar of progress ends its lines with a carriage return.
        *lines, self._rest = re.split(rb"[\r\n]", self._rest + data)
        if len(self._rest) > _LONGEST:
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            self._print(line)
        if not data:
            self._print(self._rest)
            self._member.printed.set()
        return bool(data)

    def drop(self) -> None:
        """Read no more."""
        with self._lock:
            self._dropped = True

    def _print(self, line: bytes) -> None:
        if line:
            text = line.decode("utf-8", "replace").expandtabs()
            say(self._member.name, printable(text, _LONGEST))


def say(host: str, text: str) -> None:
    """Write a line about a host to our stderr, if there is one."""
    try:
        sys.stderr.write(f"{host}: {text}\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        pass  # nobody reads it, or there is none
