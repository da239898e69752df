"""Runs one after the other on a host: each is started and followed by an agent that stays.

To start an agent takes longer than all else that a short run needs of its host.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from genvx.core.runs.runinfo import RunInfo
from genvx.core.wire.runoperations import LogEnd
from genvx.errors import ProtocolError
from genvx.fleet.detaching.followed import SILENCE
from genvx.ssh.ending import close_channel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from genvx.core.wire.runoperations import LogNews, SubmitAndWatch
    from genvx.fleet.caller import Caller
    from genvx.fleet.remote import RemoteCommand

# Seconds in which an agent is called again; it stays twice as long (agent/series.py).
_STAYS = 30.0


class Series:
    """Series has the agents of one host that stay. timeout: seconds for the answer to a call."""

    def __init__(self, caller: Caller, timeout: float) -> None:
        self._caller = caller
        self._timeout = timeout
        self._lock = threading.Lock()
        self._idle: list[tuple[float, RemoteCommand[LogNews]]] = []

    def begin(
        self, asked: SubmitAndWatch, patience: float, pause: Callable[[float], bool]
    ) -> tuple[RunInfo, Iterator[LogNews]]:
        """Start a run; return it as it was accepted, and what comes of it.

        patience: seconds that the answer may take in addition. pause: as for `watched`.

        Raises:
            GenvxError: the error that the host replied. HostError: there was no answer; whether the
            run was started is not known.
        """
        command = self._take()
        if command is None:
            command = self._caller.call(asked, patience=patience)
        else:
            try:
                command.ask_again(asked, self._timeout + patience)
            except BaseException:
                close_channel(command.channel)
                raise
        if not isinstance(command.last, RunInfo):
            close_channel(command.channel)
            raise ProtocolError("the first news of a run are not how it is")
        return command.last, self._news(command, pause)

    def _news(
        self, command: RemoteCommand[LogNews], pause: Callable[[float], bool]
    ) -> Iterator[LogNews]:
        stays = False
        try:
            while not isinstance(command.last, LogEnd):
                if not command.next_reply(SILENCE, lambda: pause(0.0)):
                    return
                if isinstance(command.last, LogEnd):
                    # First, for whoever hears of the end has the next run to start.
                    stays = True
                    self._give(command)
                yield command.last
        finally:
            if not stays:
                close_channel(command.channel)

    def _give(self, command: RemoteCommand[LogNews]) -> None:
        with self._lock:
            self._idle.append((time.monotonic(), command))

    def _take(self) -> RemoteCommand[LogNews] | None:
        """Return the agent that was called last; end those that were not called for too long."""
        with self._lock:
            since, command = self._idle.pop() if self._idle else (0.0, None)
            if command is not None and time.monotonic() - since <= _STAYS:
                return command
            left, self._idle = self._idle, []
        for each in [command, *(each for _, each in left)]:
            if each is not None:
                close_channel(each.channel)
        return None
