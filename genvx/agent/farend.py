"""This end of one call: its token, the host that it asks, and the way to reply.

Replies go to a duplicate of descriptor 1, which then points at stderr, so that output of a library
never gets between replies.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from genvx.core.wire.asking import reply_form
from genvx.core.wire.reply import Reply

if TYPE_CHECKING:
    from genvx.core.wire.operation import Operation
    from genvx.local.host import LocalHost


class FarEnd:
    """Replies to one call. out: the descriptor that the client reads."""

    def __init__(self, token: str, host: LocalHost) -> None:
        self.token = token
        self.host = host
        self.out = os.dup(1)
        os.dup2(2, 1)

    def next(self, token: str, host: LocalHost) -> FarEnd:
        """This end of one more call on the same channel."""
        end = FarEnd.__new__(FarEnd)
        end.token, end.host, end.out = token, host, self.out
        return end

    def reply(self, operation: Operation[Any], value: Any) -> None:
        """Send the reply of an operation."""
        self.send(Reply(value=reply_form(operation).write(value)))

    def send(self, reply: Reply) -> int:
        """Send a reply; return its size in bytes.

        Raises:
            BrokenPipeError: the client has closed its end.
        """
        data = reply.to_bytes(self.token)
        size = len(data)
        while data:
            data = data[os.write(self.out, data) :]
        return size


def go_home() -> None:
    """Make the home directory ours, where sshd starts commands."""
    try:
        os.chdir(os.path.expanduser("~"))
    except OSError:
        os.chdir("/")
