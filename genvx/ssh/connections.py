"""The connections to one host: opened when they are needed, and kept until `close`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import paramiko

from genvx.errors import GenvxError, HostUnreachable
from genvx.ssh.link import Link, translate

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.ssh.deadline import Deadline
    from genvx.ssh.session import Session
    from genvx.ssh.target import Target

_CLOSE_PATIENCE = 0.1
_FAILURES = (paramiko.SSHException, EOFError, OSError)


class Connections:
    """One connection, as long as its server takes all sessions that we need on it.

    MaxSessions in sshd_config may be less. Then there are more.
    """

    def __init__(self, target: Target, session: Session) -> None:
        self._target = target
        self._session = session
        self._lock = threading.Lock()
        self._links: list[Link] = []
        self._opening: Deadline | None = None

    @property
    def open(self) -> tuple[Link, ...]:
        """Those that are open; the newest comes last."""
        return tuple(self._links)

    @property
    def in_use(self) -> bool:
        """Whether something lives on one of them."""
        return any(link.pulse.needed for link in self._links)

    def close(self) -> None:
        """Close all, also one that is being opened."""
        opening = self._opening
        if opening is not None:
            opening()  # as if its time were up: whoever opens it closes what it has
            return
        if not self._lock.acquire(timeout=_CLOSE_PATIENCE):
            return  # stuck where no deadline reaches, such as a resolver; its thread is left behind
        try:
            links, self._links = self._links, []
        finally:
            self._lock.release()
        for link in links:
            link.close()

    def channel(
        self, deadline: Deadline, ask: Callable[[paramiko.Channel], None]
    ) -> tuple[Link, paramiko.Channel]:
        """A channel that was asked before the deadline for what it is to run; and on which link.

        A connection that was kept may be of no use any more, which shows only now: it has ended, or
        MaxSessions still counts the session before, or has no room for another, or dropbear closes
        the new session together with the last. Nothing has been started then, so another connection
        is asked, and in the end a new one.

        Raises:
            HostError: the new one failed, too, or there was no time for it.
        """
        tried: list[Link] = []
        while True:
            try:
                link, fresh = self._link(deadline, tried)
            except _FAILURES as error:
                raise translate(error, self._session.settings(self._target), deadline) from None
            try:
                return link, link.channel(deadline, ask)
            except _FAILURES as error:
                meaning = self.let_go(link, error, deadline)
                if fresh or deadline.expired:
                    raise meaning from None
                tried.append(link)

    def let_go(self, link: Link, error: Exception, deadline: Deadline) -> GenvxError:
        """What an error means; its connection is closed, unless something lives on it."""
        if not link.pulse.needed:
            with self._lock:
                if link in self._links:
                    self._links.remove(link)
            link.close()
        return link.pulse.lost or translate(error, self._session.settings(self._target), deadline)

    def _link(self, deadline: Deadline, tried: list[Link]) -> tuple[Link, bool]:
        """A connection that was not tried yet, and whether it is a new one."""
        with self._lock:
            for dead in [link for link in self._links if not link.active]:
                self._links.remove(dead)
                dead.close()
            for link in reversed(self._links):
                if link not in tried:
                    if not link.pulse.needed:
                        deadline.closes(link.close)
                    return link, False
            self._opening = deadline
            try:
                link = Link.open(self._target, self._session, deadline)
            finally:
                self._opening = None
            if deadline.expired:
                link.close()
                raise HostUnreachable("closed while it was being opened", kind="timeout")
            self._links.append(link)
            return link, True
