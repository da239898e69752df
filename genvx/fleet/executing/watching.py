"""What an executor waits for: its workers' answers, room to write to them, and other threads."""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from genvx.fleet.executing.member import Member


class Watch:
    """Watch waits for many descriptors at once; only `ring` may be called by other threads."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._epoll.register(self._bell, select.EPOLLIN)
        self._outlets: dict[int, Member] = {}
        self._inlets: dict[int, Member] = {}

    def ring(self) -> None:
        """End the wait."""
        os.eventfd_write(self._bell, 1)

    def add(self, member: Member) -> None:
        """Wait for answers of this worker, and for room for what has still to be written to it."""
        self._outlets[member.outlet] = member
        self._epoll.register(member.outlet, select.EPOLLIN)
        self.written(member)

    def written(self, member: Member) -> None:
        """Wait for room where something has still to be written, and no more where nothing has."""
        if member.sends and member.inlet not in self._inlets:
            self._inlets[member.inlet] = member
            self._epoll.register(member.inlet, select.EPOLLOUT)
        elif not member.sends and self._inlets.pop(member.inlet, None) is not None:
            self._epoll.unregister(member.inlet)

    def drop(self, member: Member) -> None:
        """Wait for this worker no more; call it before its descriptors are closed."""
        del self._outlets[member.outlet]
        self._epoll.unregister(member.outlet)
        if self._inlets.pop(member.inlet, None) is not None:
            self._epoll.unregister(member.inlet)

    def wait(self, seconds: float | None) -> Iterator[tuple[Member, bool]]:
        """Yield workers that have something to say, with True, or that can be written to."""
        for descriptor, _ in self._epoll.poll(seconds):
            if descriptor == self._bell:
                os.eventfd_read(self._bell)
            elif descriptor in self._outlets:
                yield self._outlets[descriptor], True
            elif descriptor in self._inlets:
                yield self._inlets[descriptor], False

    def close(self) -> None:
        """Close what is ours."""
        self._epoll.close()
        os.close(self._bell)
