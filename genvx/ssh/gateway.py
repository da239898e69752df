"""Jump hosts: one connection to each, shared by all hosts behind it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import paramiko

from genvx.errors import HostError, HostUnreachable
from genvx.ssh.secrets import Locked
from genvx.ssh.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.ssh.deadline import Deadline

    # What it opens has `active`, `transport`, `needed_secret` and `close`: a Link.
    Opener = Callable[[Target, Deadline, str | None], Any]

# How long a jump host that failed is not tried again: the hosts behind a dead one cost a deadline
# together, not one after the other.
_REMEMBERED_SECONDS = 5.0


class Gateway:
    """One connection to a jump host, opened by whoever comes first and closed with its last
    user.

    chain: "a,user@b:2222"; the last is where it ends. config: the ssh_config that says who they
    are, as ssh gives its own -F on to them. remembers: seconds in which it is not tried again after
    it has failed.
    """

    def __init__(
        self,
        chain: str,
        open_link: Opener,
        config: str | None = None,
        *,
        remembers: float = _REMEMBERED_SECONDS,
    ) -> None:
        self._config = config
        self._remembers = remembers
        before, _, last = chain.rpartition(",")
        self._before = before or None
        self._hop = last.strip()
        self._open_link = open_link
        self._lock = threading.Lock()
        self._link: Any = None
        self._users = 0
        self._failure: tuple[float, HostError] | None = None

    def open_channel(self, address: tuple[str, int], deadline: Deadline) -> Through:
        """A way through to `address`.

        Raises:
            HostError: the jump host cannot be reached, or could not just now.
        """
        with self._lock:
            if self._link is None or not self._link.active:
                if self._link is not None:
                    self._link.close()  # dead; it may hold on to the jump host before this one
                self._link = self._opened(deadline)
            self._users += 1
            link = self._link
        try:
            channel = link.transport.open_channel(
                "direct-tcpip", address, ("127.0.0.1", 0), timeout=deadline.left()
            )
        except BaseException as error:
            self._leave()
            if isinstance(error, paramiko.ChannelException):
                host, port = address
                raise HostUnreachable(
                    f"the jump host {self._hop} cannot reach {host} port {port}", kind="refused"
                ) from None
            raise
        return Through(channel, self._leave, needed_secret=link.needed_secret)

    def _opened(self, deadline: Deadline) -> Any:
        if self._failure is not None and time.monotonic() < self._failure[0]:
            raise self._failure[1]
        target = Target.hop(self._hop, self._config)
        try:
            link = self._open_link(target, deadline, self._before)
        except Locked as error:
            # Not remembered: as soon as somebody gives the secret, it is tried again.
            raise Locked(f"jump host {target.name}: {error}", error.want) from None
        except HostError as error:
            said = type(error)(f"jump host {target.name}: {error}", kind=error.kind)
            self._failure = (time.monotonic() + self._remembers, said)
            raise said from None
        self._failure = None
        return link

    def _leave(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0 and self._link is not None:
                self._link.close()
                self._link = None


class Through:
    """A channel of a jump host as a socket; closing it leaves the gateway.

    needed_secret: as of the jump host's link.
    """

    def __init__(
        self, channel: paramiko.Channel, leave: Callable[[], None], *, needed_secret: bool
    ) -> None:
        self.needed_secret = needed_secret
        self._channel = channel
        self._leave: Callable[[], None] | None = leave

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    def close(self) -> None:
        try:
            self._channel.close()
        except (EOFError, OSError, paramiko.SSHException):
            pass  # the gateway is gone already
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()
