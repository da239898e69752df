"""A cluster that is held from here: started, waited for, reached through tunnels, and ended."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

from genvx.engines.onhost.life import NO_COMMAND
from genvx.engines.onhost.link import BEAT, Link, greet
from genvx.errors import CommandNotFound, GenvxError, UnknownRun

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx import Run, Tunnel
    from genvx.engines.plan import Plan

# Seconds.
_LOOK = 0.3
_AGAIN = 1.0
_GREET = 10.0
_TAIL = 20
# States of a run in which its command has not started yet, and in which it is over.
_COMING = ("waiting", "preparing")
# What the program on a node says begins so in its log.
SAYS = "genvx cluster: "
_ALIVE = (*_COMING, "running")


class Holder:
    """Holder holds the cluster of a run from here, until `close`.

    It ends with us: node 0 ends it a while after our link is gone. info: what node 0 says of it.

    Raises:
        GenvxError: the cluster is over before it is ready.
    """

    def __init__(
        self, run: Run, plan: Plan, tell: Callable[[str], object] = lambda line: None
    ) -> None:
        """run: of the plan. tell: called with lines for people."""
        self.run = run
        self.plan = plan
        self.info: dict[str, Any] = {}
        self._tell = tell
        self._ready = threading.Event()
        self._closed = threading.Event()
        self._stack = ExitStack()
        self._link: Link | None = None

    def await_ready(self) -> dict[str, Any]:
        """Wait until all nodes are there; return what node 0 says.

        Raises:
            GenvxError: the cluster is over.
        """
        while self.run.state in _COMING:
            time.sleep(_LOOK)
        self._require_life()
        part = self.run.info.spec.part
        assert part is not None, "it was started on nodes"
        tunnel = self.tunnel(part.port)
        threading.Thread(
            target=self._hold, args=(tunnel.port,), name="genvx cluster", daemon=True
        ).start()
        while not self._ready.wait(_LOOK):
            self._require_life()
        return self.info

    def tunnel(self, port: int) -> Tunnel:
        """Open a tunnel to a port of node 0, which ends with us."""
        # Not the same port here: where client and host are one machine, we would take the port on
        # which node 0 is about to listen.
        try:
            return self._stack.enter_context(self.run.tunnel(port, _free_port()))
        except GenvxError:
            self._require_life()
            raise

    def close(self, *, stop: bool = True) -> None:
        """Let go of the cluster. stop: end it now, and return when its GPUs are free; without it
        only a cluster that nobody has to hold goes on.
        """
        self._closed.set()
        try:
            if stop:
                with suppress(UnknownRun):
                    self.run.stop()
        finally:
            self._stack.close()
            if self._link is not None:
                self._link.close()

    def failure(self) -> GenvxError:
        """What is told of a cluster that is over before it was ready."""
        first = self.run.info.rank
        ranks = sorted((info.rank for info in self.run.parts), key=lambda rank: rank != first)
        for rank in ranks:
            lines = self.run.log(_TAIL, node=rank).decode(errors="replace").splitlines()
            at = next((n for n, line in enumerate(lines) if line.startswith(SAYS)), None)
            if at is not None:
                for line in lines[:at]:
                    self._tell(f"  {legible(line)}")
                name, why = self.run.hosts[rank].name, legible(lines[at][len(SAYS) :])
                kind = CommandNotFound if why.startswith(NO_COMMAND) else GenvxError
                return kind(f"{name}: {why}")
        return GenvxError(
            f"the {self.plan.title} cluster is over before it was ready; "
            f"genvx remote logs {self.run.id} shows its output"
        )

    def _require_life(self) -> None:
        if self.run.state not in _ALIVE:
            raise self.failure()

    def _hold(self, port: int) -> None:
        """Keep a link to node 0, for ever: a new one whenever one is cut."""
        while not self._closed.is_set():
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), _GREET) as sock:
                link = self._link = Link(sock)
                greet(link, self.plan.secret, kind="client")
                sock.settimeout(None)
                threading.Thread(target=self._beat, args=(link,), daemon=True).start()
                while True:
                    news = link.read().get("ready")
                    if isinstance(news, dict):
                        self.info = news
                        self._ready.set()
            self._closed.wait(_AGAIN)

    def _beat(self, link: Link) -> None:
        while link is self._link and not self._closed.wait(BEAT):
            link.send()


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def legible(text: str) -> str:
    """What a host said, without control characters."""
    return "".join(char if char.isprintable() else "?" for char in text)[:500]
