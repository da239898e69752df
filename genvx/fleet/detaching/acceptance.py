"""Which hosts are being asked to accept a part of a gang, so that none accepts one that has been
withdrawn.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from genvx.errors import HostLost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from genvx.fleet.host import Host

# Seconds. A host that takes longer gives the part up by itself.
_PATIENCE = 10.0


class Acceptance:
    """The questions to hosts whether they accept their parts.

    Ctrl-C leaves threads behind that still ask. A withdrawal that overtook them would find nothing,
    and the part would be accepted after it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._withdrawn = False
        self._answered: dict[Host, threading.Event] = {}

    @contextmanager
    def asking(self, host: Host) -> Iterator[None]:
        """Ask a host in the block.

        Raises:
            HostLost: the parts are withdrawn already; the block does not run.
        """
        with self._lock:
            if self._withdrawn:
                raise HostLost("the run was withdrawn")
            answered = self._answered[host] = threading.Event()
        try:
            yield
        finally:
            answered.set()

    def withdraw(self) -> None:
        """Let no further host be asked."""
        with self._lock:
            self._withdrawn = True

    def settle(self, host: Host) -> None:
        """Wait until a host that was asked has answered, but not for long."""
        answered = self._answered.get(host)
        if answered is not None:
            answered.wait(_PATIENCE)
