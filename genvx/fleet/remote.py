"""What runs on the far end after its reply: a command whose streams are ours.

Nothing here knows paramiko: a channel is what has recv, recv_stderr, sendall, shutdown_write and
exit_status. All but the last may raise EOFError where the connection is lost, recv too: it tells
the far end that there is room for more.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from genvx.core.grant import Grant
from genvx.core.text import printable
from genvx.core.wire.fields import Malformed
from genvx.core.wire.protocol import ReplyReader
from genvx.errors import HostUnreachable, ProtocolError
from genvx.fleet.stdin import read
from genvx.ssh.channels import close_channel

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.core.wire.tables import Form
    from genvx.errors import HostLost
    from genvx.ssh.pulse import Pulse

R = TypeVar("R")

_CHUNK = 65536
_LOOK = 0.5


def new_token() -> str:
    """The random word by which a reply is told from noise."""
    return secrets.token_hex(16)


def read_reply(form: Form[R], plain: Any) -> R:
    """The value of a reply.

    Raises:
        ProtocolError: it cannot be read.
    """
    try:
        return form.read(plain)
    except Malformed as error:
        raise ProtocolError(f"the reply cannot be read: {printable(str(error), 200)}") from None


class RemoteCommand(Generic[R]):
    """A far end that has replied to an operation. Its output follows the last reply.

    form: of its replies. last: the last one. first_output, first_errors: what was read already of
    what follows.
    """

    def __init__(
        self,
        channel: Any,
        token: str,
        form: Form[R],
        last: R,
        pulse: Pulse,
        first_output: bytes,
        first_errors: bytes = b"",
    ) -> None:
        self.channel = channel
        self.token = token
        self.last = last
        self._form = form
        self._pulse = pulse
        self._first = first_output
        self._first_errors = first_errors

    def next_reply(self, timeout: float, over: Callable[[], bool]) -> bool:
        """Wait for one more reply, which becomes `last`; False once `over` says so.

        Raises:
            GenvxError: what the far end replied. HostUnreachable: it was silent for `timeout`
            seconds.
        """
        reader = ReplyReader(self.token)
        reply = reader.feed(self._first)
        end = time.monotonic() + timeout
        self.channel.settimeout(_LOOK)
        while reply is None:
            if over():
                return False
            if time.monotonic() > end:
                raise HostUnreachable(f"silent for {timeout:g} s while we waited", kind="timeout")
            try:
                data = self.channel.recv(_CHUNK)
            except TimeoutError:
                continue
            except EOFError:
                data = b""
            if not data:
                raise self._ended("the connection ended while we waited")
            reply = reader.feed(data)
        self._first = reader.rest
        self.last = read_reply(self._form, reply.result())
        return True

    def on_loss(self, call: Callable[[HostLost], object]) -> None:
        """Have `call` called, in another thread, if the host is lost."""
        self._pulse.listeners.append(call)

    def _ended(self, reason: str) -> HostUnreachable:
        return self._pulse.lost or HostUnreachable(reason, kind="network")

    def take(self) -> None:
        """Say that we take what was offered; else it goes to the next in line."""
        self._say(b"+")

    def expect_shell(self) -> None:
        """Say that a shell joins what is held, under the token of the call: the next reply tells
        whether it has.
        """
        self._say(b">")

    def _say(self, word: bytes) -> None:
        try:
            self.channel.sendall(word)
        except (EOFError, OSError):
            raise self._ended("the connection ended while we waited") from None

    def grant(self) -> Grant:
        """The last reply, which is a grant; raise ProtocolError if it is not."""
        if not isinstance(self.last, Grant):
            raise ProtocolError("the reply is no grant")
        return self.last

    def communicate(
        self,
        stdin: int | None = 0,
        write_out: Callable[[bytes], None] | None = None,
        write_err: Callable[[bytes], None] | None = None,
    ) -> int:
        """Pass the streams through until the command ends; return its exit code.

        stdin: the descriptor to read, None for nothing.

        Raises:
            HostUnreachable: the connection ended before the command did.
        """
        cut_off = f"the connection ended before the command did, which {self._pulse.name} ends now"
        try:
            code = self._pass_through(stdin, write_out or writer(1), write_err or writer(2))
        except EOFError:
            raise self._ended(cut_off) from None
        finally:
            close_channel(self.channel)
        if code < 0:
            raise self._ended(cut_off)
        return code

    def _pass_through(
        self, stdin: int | None, out: Callable[[bytes], None], err: Callable[[bytes], None]
    ) -> int:
        """The command's exit code; negative where the connection ended without one."""
        self.channel.settimeout(None)
        if stdin is None:
            self.channel.shutdown_write()
        else:
            threading.Thread(target=self._feed, args=(stdin,), daemon=True).start()
        errors = threading.Thread(target=self._drain_errors, args=(err,), daemon=True)
        errors.start()
        data = self._first
        while True:
            if data:
                out(data)
            data = self.channel.recv(_CHUNK)
            if not data:
                break
        errors.join()
        return int(self.channel.recv_exit_status())

    def _feed(self, stdin: int) -> None:
        try:
            while True:
                data = read(stdin, _CHUNK)
                if not data:
                    break
                self.channel.sendall(data)
            self.channel.shutdown_write()
        except (EOFError, OSError):
            pass  # the command ended and does not read on, or our stdin is gone

    def _drain_errors(self, write: Callable[[bytes], None]) -> None:
        try:
            data = self._first_errors or self.channel.recv_stderr(_CHUNK)
            while data:
                write(data)
                data = self.channel.recv_stderr(_CHUNK)
        except EOFError:
            pass  # the connection is lost, which whoever reads the output is told


def writer(descriptor: int) -> Callable[[bytes], None]:
    def write(data: bytes) -> None:
        while data:
            data = data[os.write(descriptor, data) :]

    return write
