"""The keeper's side of carriers: which there are, which are free, and who gets one."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from genvx.core.wire.plain import dumps
from genvx.keeping import asking, carrier

if TYPE_CHECKING:
    from collections.abc import Iterable

# A carrier is a process: it takes some 10 MiB that it does not share.
_MOST = 16
# Seconds for which a host that only the command can reach is left to it.
_LEFT = 300.0


class _One:
    def __init__(self, sock: socket.socket, key: bytes) -> None:
        self.sock = sock
        self.key = key
        self.free = False
        self.used = time.monotonic()


class Carriers:
    """Carriers are the processes that carry commands, one at a time each.

    nursery: makes them. It may be used from several threads.
    """

    def __init__(self, nursery: socket.socket) -> None:
        self._nursery = nursery
        self._lock = threading.Lock()
        self._all: list[_One] = []
        self._left: dict[bytes, float] = {}

    def hand_over(self, client: int, asked: Any) -> bool:
        """Hand a command to a carrier; return whether there is one for it.

        client: the descriptor of the socket to the command. asked: what that wants.
        """
        key, seconds = _key(asked), dumps(float(asked["timeout"]))
        with self._lock:
            if time.monotonic() < self._left.get(key, 0.0):
                return False
            for one in [one for one in self._all if one.free and one.key == key]:
                if self._give(one, client, seconds):
                    return True
            made = self._make(key, asked)
            return made is not None and self._give(made, client, seconds)

    def _give(self, one: _One, client: int, seconds: bytes) -> bool:
        one.free, one.used = False, time.monotonic()
        try:
            socket.send_fds(one.sock, [carrier.COMES + seconds], [client])
        except OSError:
            return False  # it has ended, as `hear` finds out
        return True

    def _make(self, key: bytes, asked: Any) -> _One | None:
        if len(self._all) >= _MOST and not self._drop_oldest():
            return None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            socket.send_fds(self._nursery, [dumps(asked)], [theirs.fileno()])
        except OSError:
            ours.close()
            return None  # the nursery was killed: this keeper has no carriers any more
        finally:
            theirs.close()
        # A carrier that hears nothing must not hold up everybody else.
        ours.setblocking(False)
        one = _One(ours, key)
        self._all.append(one)
        return one

    def _drop_oldest(self) -> bool:
        free = [one for one in self._all if one.free]
        if free:
            self._end(min(free, key=lambda one: one.used))
        return bool(free)

    def _end(self, one: _One) -> None:
        """Have a carrier end, at once if it is free, else with its command."""
        self._all.remove(one)
        one.sock.close()

    def announce(self, asked: Any) -> None:
        """Say to the free carriers of these hosts that a command may come soon."""
        keys = {_key({**asked, "carry": host}) for host in asked["hosts"]}
        with self._lock:
            for one in self._all:
                if one.free and one.key in keys:
                    with contextlib.suppress(OSError):
                        one.sock.send(carrier.SOON)

    def sockets(self) -> dict[int, socket.socket]:
        """Return what is to be polled, by its descriptor."""
        with self._lock:
            return {one.sock.fileno(): one.sock for one in self._all}

    def hear(self, sock: socket.socket) -> None:
        """Hear what a carrier says, on a socket that has something to read."""
        with self._lock:
            for one in [one for one in self._all if one.sock is sock]:
                try:
                    said = sock.recv(1)
                except BlockingIOError:
                    continue
                except OSError:
                    said = b""
                if said == carrier.FREE:
                    one.free, one.used = True, time.monotonic()
                    continue
                if said == carrier.LEFT:
                    self._left[one.key] = time.monotonic() + _LEFT
                self._end(one)

    def end_idle(self, idle: float) -> Iterable[float]:
        """End those that were free for so many seconds; return how long the others have left.

        One that carries a command has all of its time left.
        """
        now = time.monotonic()
        with self._lock:
            for one in [one for one in self._all if one.free and now - one.used >= idle]:
                self._end(one)
            return [one.used + idle - now if one.free else idle for one in self._all]

    def close(self) -> None:
        """End those that are free; the others end with their commands."""
        with self._lock:
            for one in tuple(self._all):
                self._end(one)


def _key(asked: Any) -> bytes:
    host = {field: asked["carry"][field] for field in asking.FIELDS}
    return dumps([host, asked["config"], float(asked["host_lost_after"])])
