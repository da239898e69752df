"""Finding out whether a host that runs or holds something for us still answers.

While nothing is sent, TCP does not notice a cut network or a machine without power; through a jump
host, or while data is sent, it notices late. So a host that is silent for a while is asked for a
reply, which every SSH server gives. If it stays silent, it is lost: its connection is closed, and
the threads that wait on it get HostLost.

In the other direction, a far end that holds devices for us is sent a sign of life at intervals, and
releases them when none comes.
"""

from __future__ import annotations

import threading
import time
import weakref
from typing import TYPE_CHECKING, Protocol

import paramiko

from genvx.errors import HostLost
from genvx.ssh.apart import apart
from genvx.ssh.ending import leave_in_children

if TYPE_CHECKING:
    from collections.abc import Callable

# A silent host is asked after a quarter of the time, and again after each further quarter: three
# lost replies, not one, make a host lost.
_QUARTERS = 4
_LOOKS = 3  # per quarter
_ASKING = 0.05


class Watchable(Protocol):
    """What depends on a connection until it is closed, such as a channel."""

    @property
    def closed(self) -> bool:
        """Whether it no longer needs the connection."""


class Pulse:
    """Pulse watches one connection while a channel that was given to `watch` is open.

    name: the name of the host. heard: returns the number of messages received. end: closes the
    connection. seconds: the silence after which the host is lost.
    """

    def __init__(
        self,
        name: str,
        transport: paramiko.Transport,
        *,
        heard: Callable[[], int],
        end: Callable[[], object],
        seconds: float,
    ) -> None:
        self.seconds = seconds
        # The look that first finds nothing new may come a whole step after the last message: hence
        # one step more.
        self.step = seconds / (_QUARTERS * _LOOKS + 1)
        self.lost: HostLost | None = None
        self.listeners: list[Callable[[HostLost], object]] = []
        self.name = name
        self._transport = transport
        self._heard = heard
        self._end = end
        self._seen = 0
        # Counted in looks, not by a clock: a process that is stopped (Ctrl-Z, a sleeping laptop)
        # hears nothing, and would lose all its hosts when it goes on.
        self._silent = 0
        self._looks = 0
        self._speaking = False
        self._lock = threading.Lock()
        # Held over each global request: paramiko gives an answer to the one that was asked last.
        self.asking = threading.Lock()
        # Weak: a channel that nobody uses any more is closed by paramiko when it is collected.
        self._watched: weakref.WeakSet[Watchable] = weakref.WeakSet()
        self._holding: weakref.WeakKeyDictionary[paramiko.Channel, bytes]
        self._holding = weakref.WeakKeyDictionary()

    @apart()
    def watch(self, channel: Watchable, *, sign: bytes = b"") -> None:
        """Watch the connection while `channel` is open.

        sign: bytes sent to the far end of the channel at intervals; without them it lets go of
        what it holds.
        """
        with self._lock:
            self._watched.add(channel)
            if isinstance(channel, paramiko.Channel) and sign:
                self._holding[channel] = sign
        _watch.add(self)

    @property
    def needed(self) -> bool:
        """Whether a watched channel is open."""
        with self._lock:
            return any(not channel.closed for channel in self._watched)

    @apart()
    def stop(self) -> None:
        """Stop watching."""
        _watch.remove(self)

    def unlock(self) -> None:
        """Forget who has the lock; of a forked child, which does not have that thread."""
        self._lock = threading.Lock()

    def ask(self, patience: float) -> HostLost | None:
        """Ask the host for a reply now; return HostLost if none comes within `patience` seconds."""
        before, end = self._heard(), time.monotonic() + patience
        if self._transport.is_active():
            self._in_background(lambda: self._speak(ask=True))
            while self._heard() == before and self._transport.is_active():
                if time.monotonic() > end:
                    self._lose()
                    break
                time.sleep(_ASKING)
        return self.lost

    def look(self) -> bool:
        """Count the silence and ask the host if it is due; return False if nothing is watched.

        It is called once per step, and must not block: one thread looks at all hosts.
        """
        if not self.needed or not self._transport.is_active():
            return False
        heard = self._heard()
        self._silent = 0 if heard != self._seen else self._silent + 1
        self._seen = heard
        self._looks += 1
        if self._silent >= _QUARTERS * _LOOKS:
            self._lose()
            return False
        asks = self._silent > 0 and self._silent % _LOOKS == 0
        if (asks or (self._holding and self._looks % _LOOKS == 0)) and not self._speaking:
            self._speaking = True
            self._in_background(lambda: self._speak(ask=asks))
        return True

    def _in_background(self, act: Callable[[], object]) -> None:
        # Writing blocks where a connection is stuck, and would keep the thread that calls `look`
        # from all other hosts.
        try:
            threading.Thread(target=act, name="genvx pulse", daemon=True).start()
        except RuntimeError:
            # The user may have no more threads just now. The host was not asked, so its silence
            # does not count.
            self._speaking, self._silent = False, 0

    def _speak(self, *, ask: bool) -> None:
        try:
            with self._lock:
                holding = list(self._holding.items())
            for channel, sign in holding:
                if not channel.closed and channel.send_ready():
                    channel.send(sign)
            # RFC 4254 has a server answer each global request that wants a reply, also one that it
            # does not know: with a failure, which is as good here.
            if ask:
                with self.asking:
                    self._transport.global_request("keepalive@openssh.com", wait=True)
        except (paramiko.SSHException, EOFError, OSError):
            pass  # the connection has ended, as the threads that wait on it find out
        finally:
            self._speaking = False

    def _lose(self) -> None:
        lost = HostLost(
            f"{self.name} is lost: no sign of life for {self.seconds:g} s, as when a network is "
            "cut or a machine has no power; what ran there may still run"
        )
        self.lost = lost

        def end() -> None:
            self._end()
            for listener in self.listeners:
                listener(lost)

        self._in_background(end)


class _Watch:
    """One daemon thread serves all pulses; it ends when there are none."""

    def __init__(self) -> None:
        self._due: dict[Pulse, float] = {}
        self.leave()
        leave_in_children(self)

    def leave(self) -> None:
        """Watch nothing; of a forked child, in which there is no thread that would let locks go."""
        for pulse in self._due:
            pulse.unlock()
        self._condition = threading.Condition()
        self._due = {}
        self._running = False

    def add(self, pulse: Pulse) -> None:
        with self._condition:
            self._due.setdefault(pulse, time.monotonic() + pulse.step)
            if self._running:
                self._condition.notify()
            else:
                threading.Thread(target=self._run, name="genvx pulses", daemon=True).start()
                self._running = True

    def remove(self, pulse: Pulse) -> None:
        with self._condition:
            self._due.pop(pulse, None)
            self._condition.notify()

    def _run(self) -> None:
        while True:
            with self._condition:
                if not self._due:
                    self._running = False
                    return
                pulse = min(self._due, key=lambda each: self._due[each])
                left = self._due[pulse] - time.monotonic()
                if left > 0:
                    self._condition.wait(left)
                    continue
                # Counted from now, not from when it was due: after a pause of the process, missed
                # looks would follow at once, and count as silence.
                self._due[pulse] = time.monotonic() + pulse.step
                if not pulse.look():
                    del self._due[pulse]


_watch = _Watch()
