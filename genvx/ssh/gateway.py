"""Jump hosts: all hosts behind one share a connection to it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import paramiko

from genvx.errors import HostError, HostUnreachable
from genvx.ssh.config.target import Target
from genvx.ssh.config.want import Locked
from genvx.ssh.through import Through

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.ssh.deadline import Deadline

    # What it opens has `active`, `transport`, `needed_secret` and `close`: a Link.
    Opener = Callable[[Target, Deadline, str | None], Any]

# A jump host that failed is not tried again for this long. The hosts behind a dead one then wait
# for one deadline together, instead of one after the other.
_REMEMBERED_SECONDS = 5.0


class Gateway:
    """Gateway holds one connection to a jump host, from its first user to its last.

    chain: the jump hosts in order, as in "a,user@b:2222"; the connection ends at the last. config:
    the ssh_config that describes them; ssh also passes its own -F on to them. remembers: seconds
    after a failure in which it is not tried again.
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
        """Open a channel through the jump host to `address`.

        Raises:
            HostError: the jump host cannot be reached, or could not be a few seconds ago.
        """
        with self._lock:
            if self._link is None or not self._link.active:
                if self._link is not None:
                    # Dead, but it may still count as a user of the jump host before this one.
                    self._link.close()
                self._link = self._opened(deadline)
            self._users += 1
            link = self._link
        # Counted as a user first, and opened outside the lock: the last other user would otherwise
        # close the link now, and one slow host would hold up all others behind this jump host.
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
            # Not remembered as a failure: it is tried again as soon as the secret is known.
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
