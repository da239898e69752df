"""RemoteCommand is a far end that goes on after its reply: a command whose streams are ours.

This module does not import paramiko: a channel is any object with recv, recv_stderr, sendall,
shutdown_write and exit_status. All but the last may raise EOFError when the connection is lost;
also recv, which sends the far end a message that there is room for more.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from genvx.core.leases.grant import Grant
from genvx.core.wire.asking import call_of
from genvx.core.wire.replyreader import ReplyReader
from genvx.errors import HostUnreachable, ProtocolError
from genvx.fleet.replies import read_reply
from genvx.fleet.terminals.stdin import read
from genvx.ssh.ending import close_channel

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.core.wire.operation import Operation
    from genvx.core.wire.tables import Form
    from genvx.errors import HostLost
    from genvx.ssh.pulse import Pulse

R = TypeVar("R")

_CHUNK = 256 * 1024
_LOOK = 0.5


def new_token() -> str:
    """Make the random word that distinguishes a reply from other output."""
    # Not of `secrets`, which loads hashlib: that takes longer than all else here.
    return os.urandom(16).hex()


class RemoteCommand(Generic[R]):
    """RemoteCommand is a far end that has replied to an operation; output follows the last reply.

    form: how replies are read. last: the last reply. pulse: watches its connection. first_output,
    first_errors: bytes after the reply that were read along with it.
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
        self.pulse = pulse
        self._first = first_output
        self._first_errors = first_errors

    def next_reply(self, timeout: float, over: Callable[[], bool]) -> bool:
        """Wait for one more reply, which becomes `last`; return False once `over` is true.

        Raises:
            GenvxError: the error that the far end replied. HostUnreachable: it was silent for
            `timeout` seconds.
        """
        reader = ReplyReader(self.token)
        reply = reader.feed(self._first)
        end = time.monotonic() + timeout
        # Short reads, so that `over` is asked twice a second: nothing else would wake us when
        # another host has won.
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

    def ask_again(self, operation: Operation[R], timeout: float) -> None:
        """Call the far end again, which has ended what it did; its reply becomes `last`.

        Raises:
            GenvxError: the error that it replied. HostUnreachable: there was no reply in time, and
            nobody knows whether it heard the call.
        """
        self.channel.settimeout(timeout)
        self._say(call_of(operation, self.token).to_bytes())
        self.next_reply(timeout, lambda: False)

    def read(self, size: int) -> bytes:
        """Return what follows the last reply, so many bytes at most; b"" at its end.

        It waits as long as the host gives signs of life.
        """
        if self._first:
            data, self._first = self._first[:size], self._first[size:]
            return data
        self.channel.settimeout(None)
        try:
            data = self.channel.recv(size)
        except (EOFError, OSError):
            data = b""
        if not data and self.pulse.lost is not None:
            raise self.pulse.lost
        return bytes(data)

    def take_first(self) -> bytes:
        """Return, once, what was read behind the last reply."""
        first, self._first = self._first, b""
        return first

    def on_loss(self, call: Callable[[HostLost], object]) -> None:
        """Call `call`, in another thread, if the host is lost."""
        self.pulse.listeners.append(call)

    def _ended(self, reason: str) -> HostUnreachable:
        return self.pulse.lost or HostUnreachable(reason, kind="network")

    def take(self) -> None:
        """Accept the devices that were offered; otherwise they go to the next in line."""
        self._say(b"+")

    def expect_shell(self) -> None:
        """Announce a shell that joins what is held, called with the token of this call; the next
        reply says whether it joined.
        """
        self._say(b">")

    def _say(self, word: bytes) -> None:
        try:
            self.channel.sendall(word)
        except (EOFError, OSError):
            raise self._ended("the connection ended while we waited") from None

    def grant(self) -> Grant:
        """Return the last reply, which is a grant; raise ProtocolError if it is not."""
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

        stdin: the descriptor to read; None for no input. write_out, write_err: called with output;
        by default it goes to our stdout and stderr.

        Raises:
            HostUnreachable: the connection ended before the command did.
        """
        cut_off = f"the connection ended before the command did, which {self.pulse.name} ends now"
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
        """Return the command's exit code; negative if the connection ended without one."""
        # No timeout: a command may be silent for days. The pulse ends this if the host is lost.
        self.channel.settimeout(None)
        if stdin is None:
            self.channel.shutdown_write()
        else:
            threading.Thread(target=self._feed, args=(stdin,), daemon=True).start()
        # Output and errors share one SSH window (RFC 4254, 5.2): if nobody read the errors, they
        # would fill it, and the command stop at its next output.
        errors = threading.Thread(target=self._drain_errors, args=(err,), daemon=True)
        errors.start()
        data = self._first
        while True:
            if data:
                out(data)
            data = self.channel.recv(_CHUNK)
            if not data:
                break
        # The last errors may come after the end of the output. Without the join they would be
        # printed after the prompt of our shell, or lost.
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
            pass  # the command has ended and reads no more, or our stdin is gone

    def _drain_errors(self, write: Callable[[bytes], None]) -> None:
        try:
            data = self._first_errors or self.channel.recv_stderr(_CHUNK)
            while data:
                write(data)
                data = self.channel.recv_stderr(_CHUNK)
        except EOFError:
            pass  # the connection is lost; the thread that reads the output reports it


def writer(descriptor: int) -> Callable[[bytes], None]:
    """Return a function that writes all of its bytes to a descriptor, without a buffer."""

    def write(data: bytes) -> None:
        while data:
            data = data[os.write(descriptor, data) :]

    return write
