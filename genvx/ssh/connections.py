"""The connections to one host: each is opened when it is needed and kept until `close`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import paramiko

from genvx.errors import GenvxError, HostUnreachable
from genvx.ssh.apart import apart
from genvx.ssh.link import Link
from genvx.ssh.translating import translate

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.ssh.config.target import Target
    from genvx.ssh.deadline import Deadline
    from genvx.ssh.session import Session
    from genvx.ssh.transport import Channel

_CLOSE_PATIENCE = 0.1
# What paramiko raises when a channel or a connection fails; anything else is a fault of ours.
_FAILURES = (paramiko.SSHException, EOFError, OSError)


class Connections:
    """Connections holds one connection to a host, and more if one cannot carry all sessions.

    MaxSessions in sshd_config limits the sessions of a connection; where it is 1, each session gets
    a connection of its own.
    """

    def __init__(self, target: Target, session: Session) -> None:
        self._target = target
        self._session = session
        # Held while a connection is opened, so that two threads share it instead of logging in
        # twice. `close` waits for it only briefly.
        self._lock = threading.Lock()
        self._links: list[Link] = []
        self._opening: Deadline | None = None

    @property
    def open(self) -> tuple[Link, ...]:
        """The open connections, the newest last."""
        return tuple(self._links)

    @property
    def in_use(self) -> bool:
        """Whether a channel that is watched is open on one of the connections."""
        return any(link.pulse.needed for link in self._links)

    @apart()
    def close(self) -> None:
        """Close all connections, including one that is being opened."""
        opening = self._opening
        if opening is not None:
            # The deadline expires early: it closes the socket, and the thread that was opening the
            # connection cleans up. Waiting for the lock instead would take as long as the login.
            opening()
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
        self,
        deadline: Deadline,
        ask: Callable[[paramiko.Channel], None],
        window: int | None = None,
    ) -> tuple[Link, Channel]:
        """Open a channel and make the request `ask` on it; return its connection and the channel.
        window: as Link.channel.

        A kept connection may turn out to be unusable only now: it has ended, MaxSessions still
        counts the previous session or leaves no room for another, or dropbear closes the new
        session together with the previous one. Nothing has started at that point, so another
        connection is tried, and finally a new one.

        Raises:
            HostError: the new connection failed as well, or there was no time left for one.
        """
        tried: list[Link] = []
        while True:
            link, fresh = self._opened(deadline, tried)
            try:
                return link, link.channel(deadline, ask, window)
            except _FAILURES as error:
                meaning = self.let_go(link, error, deadline)
                if fresh or deadline.expired:
                    raise meaning from None
                tried.append(link)

    def link(self, deadline: Deadline) -> Link:
        """Return the newest open connection; open one if there is none.

        Raises:
            HostError: it cannot be opened.
        """
        return self._opened(deadline, [])[0]

    def let_go(self, link: Link, error: Exception, deadline: Deadline) -> GenvxError:
        """Translate an error of a connection, and close the connection if nothing needs it."""
        # A session that is refused (MaxSessions) says nothing against the sessions that run on the
        # same connection: closing it would end a job for the sake of a question.
        if not link.pulse.needed:
            with self._lock:
                if link in self._links:
                    self._links.remove(link)
            link.close()
        return link.pulse.lost or translate(error, self._session.settings(self._target), deadline)

    def _opened(self, deadline: Deadline, tried: list[Link]) -> tuple[Link, bool]:
        try:
            return self._link(deadline, tried)
        except _FAILURES as error:
            raise translate(error, self._session.settings(self._target), deadline) from None

    def _link(self, deadline: Deadline, tried: list[Link]) -> tuple[Link, bool]:
        """Return a connection that is not in `tried`, and whether it is new."""
        with self._lock:
            for dead in [link for link in self._links if not link.active]:
                self._links.remove(dead)
                dead.close()
            for link in reversed(self._links):
                if link not in tried:
                    # A question that gets no answer closes its connection, but not one that
                    # carries a running command as well.
                    if not link.pulse.needed:
                        deadline.closes(link.close)
                    return link, False
            self._opening = deadline
            try:
                link = _open(self._target, self._session, deadline)
            except BaseException as error:
                if not isinstance(error, Exception):
                    deadline()  # a Ctrl-C: the thread that opens it must not go on
                raise
            finally:
                self._opening = None
            # `close` may have ended the deadline after the login succeeded. A link that was kept
            # now would be closed by nobody.
            if deadline.expired:
                link.close()
                raise HostUnreachable("the connection was closed while it opened", kind="timeout")
            self._links.append(link)
            return link, True


@apart(moment=0.0, undo=lambda link, *asked: link.close())
def _open(target: Target, session: Session, deadline: Deadline) -> Link:
    return Link.open(target, session, deadline)
