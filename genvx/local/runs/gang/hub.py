"""Node 0 of a gang: the supervisors of the other parts connect to it, and it passes on who ended.

Everything that comes in is a stranger's until it has proved that it knows the gang's secret.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Optional

from genvx.core.wire import gangtalk
from genvx.core.wire.gangtalk import ALIVE_EVERY, PROVE_WITHIN, RETURN_WITHIN, SILENT_FOR
from genvx.local.runs.gang.link import Link, resolve

if TYPE_CHECKING:
    from typing import Callable

    from genvx.core.runs.part import Meeting, Part
    from genvx.core.wire.gangtalk import Word
    from genvx.local.runs.gang.link import Address, Wakeups

# So many strangers are listened to besides the parts, which all come at once; if another comes, the
# oldest must go. One of ours needs only a moment to prove itself.
_STRANGERS = 16
_SOON = 0.05


class Hub:
    """Node 0's side of a gang.

    failed: exit code and rank of the first part that failed. started: whether the commands may run.
    """

    linked = True
    alone = ""

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
        self._run, self._part, self._secret, self._say = run, part, meeting.secret, say
        self._wakeups = wakeups
        self._most = _STRANGERS + len(part.nodes)
        self._listener = _listen(meeting.address, self._most)
        self._deaf = False
        wakeups.watch(self._listener.fileno())
        self.port: int = self._listener.getsockname()[1]
        self._strangers: list[tuple[Link, str]] = []
        self._links: dict[int, Link] = {}
        self._gone: dict[int, float] = {}
        self._over: set[int] = set()
        self._ended: Optional[int] = None
        self._alive_at = monotonic() + ALIVE_EVERY

    def look(self) -> None:
        """Hear all that has been said."""
        now = monotonic()
        self._accept()
        for stranger in list(self._strangers):
            link, nonce = stranger
            words = link.read()
            if words or not link.open or now >= link.since + PROVE_WITHIN:
                self._strangers.remove(stranger)
                self._admit(link, nonce, words)
        for rank, link in list(self._links.items()):
            for word in link.read():
                self._hear(rank, word)
            if now >= link.heard + SILENT_FOR:
                link.close()
                self._fail(rank, f"has said nothing for {SILENT_FOR:.0f} s")
            if not link.open:
                del self._links[rank]
                self._gone[rank] = now
        for rank, since in list(self._gone.items()):
            if rank in self._over:
                del self._gone[rank]
            elif now >= since + RETURN_WITHIN:
                del self._gone[rank]
                self._fail(rank, "is not connected any more: its supervisor was killed, or cut off")
        if now >= self._alive_at:
            self._alive_at = now + ALIVE_EVERY
            self._tell(gangtalk.ALIVE)

    def due(self) -> float:
        """Seconds until we must look again, if nothing happens before."""
        if self._gone or self._strangers or self._deaf:
            return 1.0
        return max(_SOON, self._alive_at - monotonic())

    def go(self) -> None:
        """Have all start."""
        self.started = True
        self._tell(gangtalk.GO)
        for rank, name in enumerate(self._part.nodes):
            if rank not in (self._part.rank, *self._links, *self._gone):
                self._say(f"node {rank} ({name}) is not connected: its end does not end the others")

    def ended(self, code: int) -> None:
        """The command here has ended."""
        self._ended = code
        if code and self.failed is None:
            self.failed = (code, self._part.rank)
        if self.failed is None or self.failed[1] == self._part.rank:
            self._tell(gangtalk.ended(code, self._part.rank))

    def waits(self) -> bool:
        """Whether there are parts that run, and need us to hear of each other."""
        return self.failed is None and (bool(self._links) or bool(self._gone))

    def close(self) -> None:
        """Hang up on all."""
        for link in (*self._links.values(), *(each for each, _ in self._strangers)):
            link.close()
        self._listen_again(deaf=True)
        self._listener.close()

    def _accept(self) -> None:
        self._listen_again(deaf=False)
        # As many at a time as may be listened to: strangers cannot keep us busy for ever.
        for _ in range(self._most):
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, ConnectionError):
                return
            except OSError:
                # No descriptor is left: those who wait there must not wake us until we can take
                # them.
                self._listen_again(deaf=True)
                return
            link, nonce = Link(connection, self._wakeups), os.urandom(16).hex()
            link.say(gangtalk.greeting(nonce))
            self._strangers.append((link, nonce))
            if len(self._strangers) > self._most:
                self._strangers.pop(0)[0].close()

    def _listen_again(self, *, deaf: bool) -> None:
        if deaf != self._deaf:
            self._deaf = deaf
            change = self._wakeups.forget if deaf else self._wakeups.watch
            change(self._listener.fileno())

    def _admit(self, link: Link, nonce: str, words: list[Word]) -> None:
        """Take somebody who has said their first line, if that is the right one."""
        word = words[0] if words else None
        if not link.open or word is None or word.what != "part" or not self._is_ours(word, nonce):
            link.close()
            return
        rank = word.rank
        link.say(gangtalk.welcome(self._proof("node0", rank, nonce, word.nonce)))
        if rank in self._links:
            self._links[rank].close()
        self._gone.pop(rank, None)
        self._links[rank] = link
        # What it has missed while it was not connected.
        if self.started:
            link.say(gangtalk.GO)
        if self._ended == 0:
            link.say(gangtalk.ended(0, self._part.rank))
        if self.failed is not None:
            link.say(gangtalk.ended(*self.failed))
        for more in words[1:]:
            self._hear(rank, more)

    def _is_ours(self, word: Word, nonce: str) -> bool:
        expected = self._proof("part", word.rank, nonce, word.nonce)
        return gangtalk.same(word.proof, expected) and 0 < word.rank < len(self._part.nodes)

    def _proof(self, role: str, rank: int, *nonces: str) -> str:
        return gangtalk.proof(self._secret, role, self._run, rank, *nonces)

    def _hear(self, rank: int, word: Word) -> None:
        if word.what != "ended":
            return
        self._over.add(rank)
        self._links[rank].close()  # it waits for that: now it knows that we have heard it
        if word.code:
            self._fail(rank, f"has ended with exit code {word.code}", word.code)

    def _fail(self, rank: int, why: str, code: int = 1) -> None:
        self._over.add(rank)
        if self.failed is None:
            self.failed = (code, rank)
            self._say(f"node {rank} ({self._part.nodes[rank]}) {why}; all are ended")
            self._tell(gangtalk.ended(code, rank))

    def _tell(self, line: str) -> None:
        for rank, link in self._links.items():
            if rank not in self._over:
                link.say(line)


def _listen(address: str, backlog: int) -> socket.socket:
    """A socket that listens on a port of its own: on the address by which the others know us, if
    that is one of ours here; behind a gateway it is not, and then on all. Raises OSError.
    """
    places: list[Address] = []
    with suppress(OSError):
        places = resolve(address, 0)
    if socket.has_dualstack_ipv6():
        places.append((socket.AF_INET6, ("::", 0, 0, 0)))
    places.append((socket.AF_INET, ("", 0)))
    last = OSError()
    for family, place in places:
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            if place[0] == "::":
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            listener.bind(place)
            listener.listen(backlog)
            listener.setblocking(False)
            return listener
        except OSError as error:
            listener.close()
            last = error
    raise last
