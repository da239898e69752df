"""A part of a gang that is not on node 0: it says there how it ended, and hears of the others."""

from __future__ import annotations

import os
from time import monotonic
from typing import TYPE_CHECKING, Optional

from genvx.core.wire import gangtalk
from genvx.core.wire.gangtalk import (
    ALIVE_EVERY,
    CONNECT_WITHIN,
    PROVE_WITHIN,
    RETURN_WITHIN,
    SILENT_FOR,
)
from genvx.local.runs.gang.link import Link, resolve

if TYPE_CHECKING:
    from typing import Callable

    from genvx.core.runs.part import Meeting, Part
    from genvx.core.wire.gangtalk import Word
    from genvx.local.runs.gang.link import Address, Wakeups

_RETRY = 0.5
_SOON = 0.05


class Spoke:
    """The side of a part that is not node 0.

    failed: exit code and rank of the first part that failed. started: whether the command may run.
    linked: whether node 0 has known us. alone: why node 0 cannot be reached; empty if it can.
    """

    port = 0

    def __init__(
        self,
        run: str,
        part: Part,
        meeting: Meeting,
        wakeups: Wakeups,
        say: Callable[[str], object],
    ) -> None:
        self.failed: Optional[tuple[int, int]] = None
        self.started = False
        self.linked = False
        self.alone = ""
        self._run, self._part, self._secret, self._say = run, part, meeting.secret, say
        self._wakeups = wakeups
        self._where = f"{meeting.address}:{meeting.port}"
        self._places: list[Address] = []
        self._since = monotonic()
        try:
            self._places = resolve(meeting.address, meeting.port)
        except OSError as error:
            self.alone = error.strerror or str(error)
        self._link: Optional[Link] = None
        self._nonces: tuple[str, str] = ("", "")
        self._known = False
        self._tried = float("-inf")
        self._why = "no answer"
        self._gone: Optional[float] = None
        self._ended: Optional[int] = None
        self._heard_us = False
        self._node0_over = False
        self._alive_at = self._since + ALIVE_EVERY

    def look(self) -> None:
        """Hear all that has been said; connect, also again."""
        now = monotonic()
        if self.alone or self._heard_us:
            return
        if self._link is None and now >= self._tried + _RETRY:
            self._connect(now)
        if self._link is not None:
            self._listen(self._link, now)
        if self._known and self._link is not None and now >= self._alive_at:
            self._alive_at = now + ALIVE_EVERY
            self._link.say(gangtalk.ALIVE)
        if not self.linked and now >= self._since + CONNECT_WITHIN:
            self.alone = self._why
        if self._gone is not None and now >= self._gone + RETURN_WITHIN:
            self._lose("is not connected any more: its supervisor was killed, or cut off")

    def due(self) -> float:
        """Seconds until we must look again, if nothing happens before."""
        if self.alone or self._heard_us:
            return ALIVE_EVERY
        if not self._known:
            return _RETRY
        return max(_SOON, self._alive_at - monotonic())

    def go(self) -> None:
        """Our command starts now."""
        self.started = True

    def ended(self, code: int) -> None:
        """The command here has ended."""
        self._ended = code
        if self._known and self._link is not None:
            self._link.say(gangtalk.ended(code, self._part.rank))

    def waits(self) -> bool:
        """Whether node 0 has yet to hear of our end."""
        return self._ended is not None and not (self._heard_us or self.alone)

    def close(self) -> None:
        """Hang up."""
        if self._link is not None:
            self._link.close()

    def _connect(self, now: float) -> None:
        self._tried, self._nonces = now, ("", "")
        place = self._places.pop(0)
        self._places.append(place)  # the next one next time
        try:
            self._link = Link.connect(place, self._wakeups)
        except OSError as error:
            self._why = error.strerror or str(error)

    def _listen(self, link: Link, now: float) -> None:
        for word in link.read():
            self._hear(link, word)
        if self._known and now >= link.heard + SILENT_FOR:
            link.close()
            self._lose(f"has said nothing for {SILENT_FOR:.0f} s")
        if not self._known and now >= link.since + PROVE_WITHIN:
            link.close()
        if not link.open:
            self._why = link.why or self._why
            # Node 0 hangs up once it has heard that we ended.
            self._heard_us = self._known and self._ended is not None
            if self._known and self._gone is None:
                self._gone = now
            self._link, self._known = None, False

    def _hear(self, link: Link, word: Word) -> None:
        if not self._known:
            self._meet(link, word)
        elif word.what == "go":
            self.started = True
        elif word.what == "ended" and word.code == 0:
            self._node0_over = True
        elif word.what == "ended" and self.failed is None:
            self.failed = (word.code, word.rank)
            name = self._part.nodes[word.rank] if word.rank < len(self._part.nodes) else "?"
            self._say(f"node {word.rank} ({name}) has failed: exit code {word.code}; all are ended")

    def _meet(self, link: Link, word: Word) -> None:
        """Prove that we know the secret, and have node 0 prove it: whoever has its port after it
        must not tell us anything.
        """
        if word.what == "genvx-gang" and not self._nonces[0]:
            self._nonces = (word.nonce, os.urandom(16).hex())
            link.say(gangtalk.introduction(self._part.rank, self._nonces[1], self._proof("part")))
        elif word.what == "node0" and gangtalk.same(word.proof, self._proof("node0")):
            self.linked = self._known = True
            self._gone, self._nonces = None, ("", "")
            if self._ended is not None:
                link.say(gangtalk.ended(self._ended, self._part.rank))
        else:
            self._nonces = ("", "")
            link.close()

    def _proof(self, role: str) -> str:
        return gangtalk.proof(self._secret, role, self._run, self._part.rank, *self._nonces)

    def _lose(self, why: str) -> None:
        self._gone = None
        if self._node0_over or self._ended is not None:
            self.alone = why  # its command has ended well, or ours has; so there is nothing to end
        elif self.failed is None:
            self.failed = (1, 0)
            self._say(f"node 0 ({self._part.nodes[0]}) {why}; this part is ended")
        self.alone = self.alone or why
