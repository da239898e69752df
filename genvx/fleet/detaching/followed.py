"""What a host sends while a run goes on: its state and its log, or what its terminal shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genvx.core.runs.runinfo import RunInfo
from genvx.core.wire.runoperations import LogEnd
from genvx.ssh.ending import close_channel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    from genvx.core.wire.runoperations import LogNews, WatchRun
    from genvx.core.wire.viewoperation import ViewNews, ViewRun
    from genvx.fleet.caller import Caller
    from genvx.fleet.remote import RemoteCommand

    Views: TypeAlias = "RunInfo | RemoteView"

# While nothing is new, a host says so at least every 20 s.
SILENCE = 90.0
# Seconds in which the exit code of an agent comes behind the end of its output.
_LAST = 5.0


def watched(caller: Caller, asked: WatchRun, pause: Callable[[float], bool]) -> Iterator[LogNews]:
    """Yield the state of a run on a host, and its log as it grows; the last is a LogEnd.

    pause: called while nothing comes; True ends the watching.

    Raises:
        UnknownRun: there is none. HostError: the host could not be asked, or the connection has
        ended; then ask again, with the offset behind the last piece.
    """
    command = caller.call(asked)
    try:
        yield command.last
        while not isinstance(command.last, LogEnd):
            if not command.next_reply(SILENCE, lambda: pause(0.0)):
                return
            yield command.last
    finally:
        close_channel(command.channel)


def viewed(caller: Caller, asked: ViewRun, pause: Callable[[float], bool]) -> Iterator[Views]:
    """Yield the state of a run on a host until it has begun, then its terminal.

    pause: called while nothing comes; True ends it.

    Raises:
        InvalidInput: it has no terminal, or is over. UnknownRun: there is none. HostError: the host
        could not be asked.
    """
    command = caller.call(asked)
    try:
        while isinstance(command.last, RunInfo):
            yield command.last
            if not command.next_reply(SILENCE, lambda: pause(0.0)):
                return
        yield RemoteView(command)
    finally:
        close_channel(command.channel)


class RemoteView:
    """The terminal of a run on a host, like a socket that does not block."""

    def __init__(self, command: RemoteCommand[ViewNews]) -> None:
        self._channel: Any = command.channel
        self._first = command.take_first()
        self._channel.settimeout(0.0)

    def fileno(self) -> int:
        """A descriptor that is readable when there is something to receive, or it has ended."""
        return int(self._channel.fileno())

    def recv(self, most: int) -> bytes:
        """Return what the terminal has shown, b"" at its end.

        Raises:
            BlockingIOError: nothing for now.
        """
        if self._first:
            first, self._first = self._first, b""
            return first
        try:
            # Output and errors share a window, which unread errors would fill.
            while self._channel.recv_stderr_ready():
                self._channel.recv_stderr(most)
            return bytes(self._channel.recv(most))
        except TimeoutError:
            raise BlockingIOError from None
        except EOFError:
            return b""

    def send(self, data: bytes) -> int:
        """Send frames; return how many bytes were taken.

        Raises:
            BlockingIOError: none for now. ConnectionError: it has ended.
        """
        try:
            return int(self._channel.send(data)) if self._channel.send_ready() else 0
        except TimeoutError:
            raise BlockingIOError from None
        except (EOFError, OSError):
            raise ConnectionError from None

    def was_cut(self) -> bool:
        """Whether, after its end, it was the connection that ended."""
        self._channel.status_within(_LAST)
        return int(self._channel.exit_status) < 0

    def close(self) -> None:
        """Close the channel."""
        close_channel(self._channel)
