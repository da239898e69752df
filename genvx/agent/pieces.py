"""Sending a log to a client: deflated on a slow connection, as it is on a fast one."""

from __future__ import annotations

from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from genvx.agent.client import Client
from genvx.core.runs.runinfo import LogPiece
from genvx.core.value import replace
from genvx.core.wire.asking import reply_form
from genvx.core.wire.reply import Reply

if TYPE_CHECKING:
    from genvx.agent.farend import FarEnd
    from genvx.core.wire.runoperations import LogNews, WatchRun

# Bytes a second. A log deflates to about a quarter. On faster connections, deflating and inflating
# takes longer than it saves.
_FAST = 25e6
# Smaller pieces only go into a buffer, so the time for them says nothing about the connection.
_LARGE = 32 * 1024
# The weight of what was measured before: the speed is that of several pieces, not of the last one.
_KEPT = 0.9


class Pieces:
    """Sends the news of a run to a client that watches it."""

    def __init__(self, end: FarEnd, asked: WatchRun) -> None:
        self._end = end
        self._asked = asked
        self._bytes = self._seconds = 0.0

    def send(self, news: LogNews) -> None:
        """Send one of the news.

        Raises:
            BrokenPipeError: the client is gone.
        """
        reply = self._reply(news)
        begin = monotonic()
        size = self._end.send(reply)
        if size >= _LARGE:
            self._bytes = _KEPT * self._bytes + size
            self._seconds = _KEPT * self._seconds + monotonic() - begin

    def _reply(self, news: LogNews) -> Reply:
        form = reply_form(self._asked)
        fast = self._bytes >= _FAST * self._seconds
        if isinstance(news, LogPiece) and len(news.data) >= _LARGE and fast:
            return Reply(value=form.write(replace(news, data=b"")), attached=news.data)
        return Reply(value=form.write(news))


def watch(end: FarEnd, asked: WatchRun) -> int:
    """Send how a run is and its log as it grows, until it has ended or the client is gone."""
    client, pieces = Client(end.out), Pieces(end, asked)
    with suppress(BrokenPipeError):  # it is gone; the run goes on
        for news in end.host.watch(asked, client.wait):
            pieces.send(news)
    return 0
