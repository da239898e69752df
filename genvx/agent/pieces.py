"""A log on its way to the client: deflated where the way is slow, as it is where that is faster."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from genvx.core.runs.runinfo import LogPiece
from genvx.core.value import replace
from genvx.core.wire.asking import reply_form
from genvx.core.wire.reply import Reply

if TYPE_CHECKING:
    from genvx.agent.farend import FarEnd
    from genvx.core.wire.runoperations import LogNews, WatchRun

# Bytes a second. On slower ways it counts that a log deflates to a quarter; on faster ones the time
# that it takes to deflate and to read that again.
_FAST = 25e6
# What is smaller does not tell how fast the way is: it only goes into a buffer.
_LARGE = 32 * 1024
# How much of what was measured before counts, each time: the speed of some pieces, not of one.
_KEPT = 0.9


class Pieces:
    """Replies with what somebody gets who watches a run."""

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
