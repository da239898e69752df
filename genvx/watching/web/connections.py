"""Connections of the page's server: none is open for ever, and idle ones make room for others.

Whoever connects and says nothing, or says it slowly, would otherwise keep the user of the page out:
that needs no token.
"""

from __future__ import annotations

import asyncio
import resource
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

MOST = 512
# Seconds in which the head of a request has to come, from its first byte or from the connection.
_HEAD = 10.0


class Connections:
    """The connections of one server; `protocol` makes one."""

    def __init__(self) -> None:
        # Without a descriptor nobody can be accepted, and hosts need some, too.
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.most = MOST if soft == resource.RLIM_INFINITY else min(MOST, soft // 2)
        # The oldest first.
        self.open: dict[_Connection, None] = {}

    def protocol(self) -> type[_Connection]:
        """Return the class of a connection, which uvicorn wants."""
        return type("_Connection", (_Connection,), {"group": self})


class _Connection(H11Protocol):
    """A connection of a group."""

    group: Connections
    _late: asyncio.TimerHandle | None = None

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: Any) -> None:
        """Take a connection, in place of an idle one if there are too many."""
        super().connection_made(transport)
        others = self.group.open
        if len(others) >= self.group.most:
            oldest = next((each for each in others if each.is_idle), self)
            oldest.transport.abort()
            others.pop(oldest, None)
            if oldest is self:
                return
        others[self] = None
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        self.group.open.pop(self, None)
        self._forgive()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what was sent; the head of a request must come in time."""
        if self._late is None and self.is_idle:
            self._watch()
        super().data_received(data)
        if not self.is_idle:
            self._forgive()

    def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        self._late = loop.call_later(_HEAD, self._end)

    def _forgive(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _end(self) -> None:
        self._late = None
        if self.is_idle:
            self.transport.abort()
