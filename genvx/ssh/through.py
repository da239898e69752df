"""A channel of a jump host, used as a socket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import paramiko

from genvx.ssh.readahead import PEACE

if TYPE_CHECKING:
    from collections.abc import Callable


class Through:
    """Through is a channel of a jump host, used as a socket; closing it leaves the gateway.

    needed_secret: whether the login at the jump host took a password or a passphrase.
    """

    def __init__(
        self, channel: paramiko.Channel, leave: Callable[[], None], *, needed_secret: bool
    ) -> None:
        self.needed_secret = needed_secret
        self._channel = channel
        self._leave: Callable[[], None] | None = leave

    def settimeout(self, seconds: float | None) -> None:
        """Set the timeout of reads, as ReadAhead does; closing wakes a thread that reads."""
        self._channel.settimeout(None if seconds is None else max(seconds, PEACE))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    def close(self) -> None:
        """Close the channel and leave the gateway; further calls do nothing."""
        try:
            self._channel.close()
        except (EOFError, OSError, paramiko.SSHException):
            pass  # the connection to the jump host has ended
        # paramiko, the deadline and the link each close it. Leaving twice would count down another
        # user and close the link under them.
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()
