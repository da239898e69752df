"""The page of metrics: what is known of each host now, and of the monitor itself."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from genvx._version import __version__
from genvx.errors import kind_of
from genvx.watching.clock import now
from genvx.watching.families import FAMILIES
from genvx.watching.hostmetrics import Samples, host_samples, label_text
from genvx.watching.idleness import Idleness

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.watching.sight import Sight


class Board:
    """The page of metrics, which is written by one thread and read by many.

    hosts: how many are asked. lasts: seconds after which what a host has shown is not shown any
    more, because no round has come since.
    """

    def __init__(
        self,
        hosts: int,
        lasts: float,
        *,
        label_users: bool = False,
        clock: Callable[[], float] = now,
    ) -> None:
        self._hosts = hosts
        self._lasts = lasts
        self._label_users = label_users
        self._clock = clock
        self._lock = threading.Lock()
        self._idleness = Idleness()
        # By host: when it was seen, and its lines by metric, each as one text.
        self._shown: dict[str, tuple[float, dict[str, str]]] = {}
        self._errors: dict[tuple[str, str], int] = {}
        self._rounds = 0
        self._own: dict[str, float] = {}
        self._page: tuple[float, bytes] | None = None

    def show(self, sight: Sight) -> None:
        """Show what a look at a host has found, in place of what was shown of it before."""
        idle = self._idleness.take(sight)
        lines = host_samples(sight, idle, label_users=self._label_users)
        texts = {name: "".join(found) for name, found in lines.items()}
        with self._lock:
            if sight.error is not None:
                key = (sight.host, kind_of(sight.error))
                self._errors[key] = self._errors.get(key, 0) + 1
            self._shown[sight.host] = (sight.at, texts)
            self._page = None

    def end_round(self, seconds: float, *, answered: bool, history: bool | None) -> None:
        """Show that a round has ended. answered: whether any host has answered. history: whether
        the round was written to it; None without one.
        """
        with self._lock:
            self._rounds += 1
            at = self._clock()
            self._own["genvx_monitor_round_seconds"] = round(seconds, 6)
            self._own["genvx_monitor_last_round_timestamp_seconds"] = at
            if answered:
                self._own["genvx_monitor_last_success_timestamp_seconds"] = at
            if history is not None:
                self._own["genvx_monitor_history_up"] = int(history)
            self._page = None

    def page(self) -> bytes:
        """Return all metrics, in the text format of Prometheus."""
        at = self._clock()
        with self._lock:
            # What grows old vanishes, also if no round comes any more.
            if self._page is None or at >= self._page[0]:
                self._page = (at + 1.0, self._text(at).encode())
            return self._page[1]

    def _text(self, now: float) -> str:
        current = [texts for at, texts in self._shown.values() if now - at <= self._lasts]
        own = self._own_lines()
        parts = []
        for family in FAMILIES:
            found = [texts[family.name] for texts in current if family.name in texts]
            found += own.get(family.name, ())
            if found:
                parts.append(f"# HELP {family.name} {family.help}\n")
                parts.append(f"# TYPE {family.name} {family.kind}\n")
                parts += found
        return "".join(parts)

    def _own_lines(self) -> dict[str, list[str]]:
        samples = Samples()
        for (host, kind), count in sorted(self._errors.items()):
            samples.add("genvx_host_errors_total", label_text(host=host, kind=kind), count)
        samples.add("genvx_monitor_info", label_text(version=__version__), 1)
        samples.add("genvx_monitor_rounds_total", "", self._rounds)
        samples.add("genvx_monitor_hosts", "", self._hosts)
        for name, number in self._own.items():
            samples.add(name, "", number)
        return samples.lines
