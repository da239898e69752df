"""The last day of a history, in steps: what the page draws."""

from __future__ import annotations

import sqlite3
from bisect import bisect_left, bisect_right
from collections import Counter
from itertools import accumulate, groupby
from typing import TYPE_CHECKING

from genvx.errors import StateError
from genvx.watching.daylong import DAY, Amount, Day, day_of
from genvx.watching.history.readings import NO_BYTE, NO_WORD, devices_of, unpack
from genvx.watching.history.schema import open_to_read

if TYPE_CHECKING:
    from pathlib import Path

_STEP = 600
# Looks that are read in a step: those of 1,000 GPUs for a day would take seconds.
_LOOKS = 2
# What is left of sums that are nothing.
_NOTHING = 1e-9
_HOLDS = """SELECT hold.user, hold.device, hold.begin, coalesce(hold.seen, host.seen),
    device.weight * CASE WHEN hold.memory IS NULL OR coalesce(device.memory, 0) = 0 THEN 1.0
    ELSE min(1.0, 1.0 * hold.memory / device.memory) END
    FROM hold JOIN device ON device.id = hold.device JOIN host ON host.id = device.host
    WHERE (hold.gone IS NULL OR hold.gone >= :since)
    AND coalesce(hold.seen, host.seen) >= :since AND hold.begin < :until"""


def last_day(path: Path, now: float, hosts: frozenset[str] | None = None) -> Day | None:
    """Return the last day; None if no monitor has looked in it.

    hosts: only these; None for all.

    Raises:
        StateError: the file cannot be read.
    """
    connection = open_to_read(path)
    try:
        # One transaction: all of it is of one moment, while the monitor goes on writing.
        connection.execute("BEGIN")
        return _Reader(connection, now, hosts).day()
    except sqlite3.Error as error:
        raise StateError(f"cannot read the history {path}: {error}") from None
    finally:
        connection.close()


class _Reader:
    def __init__(
        self, connection: sqlite3.Connection, now: float, hosts: frozenset[str] | None
    ) -> None:
        self._connection = connection
        self._until = now
        # The first step is a whole one, within the time for which looks are kept.
        self._first = int((now - DAY) // _STEP) + 1
        self._count = int(now // _STEP) - self._first + 1
        query = "SELECT device.id, host.name, weight FROM device JOIN host ON host.id = device.host"
        self._devices: dict[int, tuple[str, float]] = {
            number: (host, weight)
            for number, host, weight in connection.execute(query)
            if hosts is None or host in hosts
        }
        self._layouts: dict[int, tuple[int, list[_Span]]] = {}

    def day(self) -> Day | None:
        times = self._times()
        steps: list[dict[str, Amount]] = [{} for _ in range(self._count)]
        users: list[dict[str, float]] = [{} for _ in range(self._count)]
        held, by_user = self._held(times)
        numbers = [int(time // _STEP) - self._first for time in times]
        for at, (time, number) in enumerate(zip(times, numbers, strict=True)):
            for host, seen in self._read(time).items():
                leased = held[host][at] if host in held else 0.0
                amount = steps[number].setdefault(host, Amount())
                amount.add(seen[0], min(leased, seen[0]), seen[1], seen[2])
        if not any(steps):
            return None
        looks = Counter(numbers)
        for user, gpus in by_user.items():
            for number, then in zip(numbers, gpus, strict=True):
                if then > _NOTHING:
                    users[number][user] = users[number].get(user, 0.0) + then / looks[number]
        return day_of("history", self._first * _STEP, _STEP, steps, users)

    def _times(self) -> list[float]:
        """The looks that are read: some of each step, spread over it."""
        query = "SELECT at FROM look WHERE at >= ? AND at <= ? ORDER BY at"
        of_step: dict[int, list[float]] = {}
        for (time,) in self._connection.execute(query, (self._first * _STEP, self._until)):
            of_step.setdefault(int(time // _STEP), []).append(time)
        found: list[float] = []
        for every in of_step.values():
            count = min(_LOOKS, len(every))
            found += [every[(2 * n + 1) * len(every) // (2 * count)] for n in range(count)]
        return found

    def _held(self, times: list[float]) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
        """How many GPUs were held at each of some times, by host and by user."""
        devices: dict[int, list[float]] = {}
        users: dict[str, list[float]] = {}
        window = {"since": self._first * _STEP, "until": self._until}
        for user, device, begin, last, part in self._connection.execute(_HOLDS, window):
            first, end = bisect_left(times, begin), bisect_right(times, last)
            if first < end and device in self._devices:
                for changes in (
                    devices.setdefault(device, [0.0] * (len(times) + 1)),
                    users.setdefault(user, [0.0] * (len(times) + 1)),
                ):
                    changes[first] += part
                    changes[end] -= part
        hosts: dict[str, list[float]] = {}
        for device, changes in devices.items():
            host, weight = self._devices[device]
            # Of a GPU that is over-subscribed, no more than all of it is leased.
            of_host = hosts.setdefault(host, [0.0] * len(times))
            for at, part in enumerate(accumulate(changes[:-1])):
                of_host[at] += min(weight, part)
        return hosts, {user: list(accumulate(each[:-1])) for user, each in users.items()}

    def _read(self, time: float) -> dict[str, list[float]]:
        """The GPUs of each host at a look: all that were seen, those whose utilization is known,
        and how much of these was busy.
        """
        query = "SELECT layout, readings FROM look WHERE at = ?"
        layout, data = self._connection.execute(query, (time,)).fetchone()
        count, spans = self._spans(layout)
        busy, memory, _ = unpack(data, count)
        found: dict[str, list[float]] = {}
        for span in spans:
            percents = busy[span.begin : span.end]
            sums = [span.weight, span.weight, sum(percents) / 100]
            if NO_BYTE in percents or span.weight != len(percents):
                sums = [0.0, 0.0, 0.0]
                for weight, percent, used in zip(
                    span.weights, percents, memory[span.begin : span.end], strict=True
                ):
                    if percent != NO_BYTE or used != NO_WORD:  # else its host did not answer
                        sums[0] += weight
                    if percent != NO_BYTE:
                        sums[1] += weight
                        sums[2] += weight * percent / 100
            if sums[0]:
                before = found.setdefault(span.host, [0.0, 0.0, 0.0])
                found[span.host] = [a + b for a, b in zip(before, sums, strict=True)]
        return found

    def _spans(self, layout: int) -> tuple[int, list[_Span]]:
        """How many devices a layout has, and where those of each host are in it."""
        if layout not in self._layouts:
            query = "SELECT devices FROM layout WHERE id = ?"
            ids = devices_of(self._connection.execute(query, (layout,)).fetchone()[0])
            known = [self._devices.get(each) for each in ids]
            spans: list[_Span] = []
            for host, group in groupby(enumerate(known), lambda each: each[1] and each[1][0]):
                members = [(at, found) for at, found in group if found is not None]
                if host and members:
                    weights = [found[1] for _, found in members]
                    spans.append(_Span(host, members[0][0], members[-1][0] + 1, weights))
            self._layouts[layout] = (len(ids), spans)
        return self._layouts[layout]


class _Span:
    """Neighbours in a layout that are of one host."""

    __slots__ = ("begin", "end", "host", "weight", "weights")

    def __init__(self, host: str, begin: int, end: int, weights: list[float]) -> None:
        self.host = host
        self.begin = begin
        self.end = end
        self.weights = weights
        self.weight = sum(weights)
