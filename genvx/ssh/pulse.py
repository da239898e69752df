"""Whether a host still answers on which something of ours depends.

TCP does not notice a cut network or a machine without power while nothing is sent; through a jump
host, and where data is sent, it notices late. So a host that is silent for a while is asked for a
sign of life, which every SSH server gives, and one that stays silent is lost: its connection is
closed, and whoever waits on it learns why.

The other way round, a far end that holds something for us is sent a sign of life now and then, and
lets go when none comes.
"""

from __future__ import annotations

import threading
import time
import weakref
from typing import TYPE_CHECKING

import paramiko

from genvx.errors import HostLost

if TYPE_CHECKING:
    from collections.abc import Callable

# A host is asked after a quarter of the time, and again after each further one.
_QUARTERS = 4
_LOOKS = 3  # a quarter
_ASKING = 0.05


class Pulse:
    """Watches over one connection while a channel that was given to `watch` is open.

    name: the host's. heard: how often the transport has received something. end: closes the
    connection. seconds: of silence after which the host is lost.
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
        # The look that first finds nothing new comes up to a step after the last sign of life.
        self.step = seconds / (_QUARTERS * _LOOKS + 1)
        self.lost: HostLost | None = None
        self.listeners: list[Callable[[HostLost], object]] = []
        self.name = name
        self._transport = transport
        self._heard = heard
        self._end = end
        self._seen = 0
        # Counted in looks, not by a clock: what passes while our process is stopped is no silence.
        self._silent = 0
        self._looks = 0
        self._speaking = False
        self._lock = threading.Lock()
        self._watched: weakref.WeakSet[paramiko.Channel] = weakref.WeakSet()
        self._holding: weakref.WeakKeyDictionary[paramiko.Channel, bytes]
        self._holding = weakref.WeakKeyDictionary()

    def watch(self, channel: paramiko.Channel, *, sign: bytes = b"") -> None:
        """Watch as long as a channel is open.

        sign: what the far end of it is sent now and then, because it lets go when nothing comes.
        """
        with self._lock:
            self._watched.add(channel)
            if sign:
                self._holding[channel] = sign
        _watch.add(self)

    @property
    def needed(self) -> bool:
        """Whether a channel that is watched is open."""
        with self._lock:
            return any(not channel.closed for channel in self._watched)

    def stop(self) -> None:
        """Watch no more."""
        _watch.remove(self)

    def ask(self, patience: float) -> HostLost | None:
        """Ask for a sign of life now; what there is to say if none comes in so many seconds."""
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
        """One look, a step after the one before; False when there is nothing more to watch."""
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
        # Whatever writes may have to wait, if the connection is stuck.
        try:
            threading.Thread(target=act, name="genvx pulse", daemon=True).start()
        except RuntimeError:
            # No thread to be had just now. Nobody was asked, so nobody has failed to answer.
            self._speaking, self._silent = False, 0

    def _speak(self, *, ask: bool) -> None:
        try:
            with self._lock:
                holding = list(self._holding.items())
            for channel, sign in holding:
                if not channel.closed and channel.send_ready():
                    channel.send(sign)
            if ask:
                self._transport.global_request("keepalive@openssh.com", wait=True)
        except (paramiko.SSHException, EOFError, OSError):
            pass  # it has ended, which whoever waits on it sees
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
    """One daemon thread for all pulses; it ends when there are none."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._due: dict[Pulse, float] = {}
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
                # From now, not from when it was due: looks that were missed are not made up for.
                self._due[pulse] = time.monotonic() + pulse.step
                if not pulse.look():
                    del self._due[pulse]


_watch = _Watch()
