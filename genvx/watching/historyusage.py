"""Usage from the history of a monitor."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from genvx.errors import StateError
from genvx.watching.history.hours import utilization_by_hour
from genvx.watching.history.schema import open_to_read
from genvx.watching.shares import portion
from genvx.watching.usage import HOUR, UNKNOWN, By, Report, Sum, summed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_HOLDS = """SELECT hold.id, host.name, hold.user, hold.name, hold.environment, device.model,
    device.memory, device.weight, hold.memory, hold.begin, coalesce(hold.seen, host.seen), hold.gone
    FROM hold JOIN device ON device.id = hold.device JOIN host ON host.id = device.host
    WHERE hold.begin < :until AND (hold.gone IS NULL OR hold.seen >= :since)"""
# Of the hour in which the time begins, a part counts: nobody knows which minutes were busy.
_USES = """SELECT hold, sum(seconds * (CASE hour WHEN :first THEN :part ELSE 1 END)),
    sum(busy * (CASE hour WHEN :first THEN :part ELSE 1 END)), max(peak)
    FROM use WHERE hour >= :first AND hour <= :last GROUP BY hold"""
_WAITS = """SELECT host.name, wait.user, wait.name, wait.environment, wait.begin,
    coalesce(wait.seen, host.seen) FROM wait JOIN host ON host.id = wait.host
    WHERE wait.begin < :until AND (wait.gone IS NULL OR wait.seen >= :since)"""


def usage_of(
    path: Path,
    by: By,
    since: float,
    until: float,
    *,
    hosts: frozenset[str] | None = None,
    group_of: Callable[[str], str],
    hourly: bool = False,
) -> Report:
    """Return the use of GPUs from one time to another.

    hosts: only on these; None for all. group_of: the group of a user. hourly: whether to work out
    the utilization of each hour, too.

    Raises:
        StateError: the file cannot be read.
    """
    connection = open_to_read(path)
    try:
        # One transaction: all of it is of one moment, while the monitor goes on writing.
        connection.execute("BEGIN")
        reader = _Reader(connection, by, since, until, hosts, group_of)
        uses, total = summed(reader.sums())
        return Report(
            by,
            since,
            until,
            uses,
            total,
            reader.watched(),
            tuple(reader.hourly()) if hourly else (),
        )
    except sqlite3.Error as error:
        raise StateError(f"cannot read the history {path}: {error}") from None
    finally:
        connection.close()


class _Reader:
    def __init__(
        self,
        connection: sqlite3.Connection,
        by: By,
        since: float,
        until: float,
        hosts: frozenset[str] | None,
        group_of: Callable[[str], str],
    ) -> None:
        self._connection = connection
        self._by = by
        self._hosts = hosts
        self._group_of = group_of
        first = int(since // HOUR)
        self._window = {"since": since, "until": until}
        self._hours = {
            "first": first,
            "last": int(until // HOUR),
            "part": 1 - (since - first * HOUR) / HOUR,
        }
        query = "SELECT id, max(project) FROM run GROUP BY id"
        self._projects = dict(connection.execute(query)) if by is By.PROJECT else {}

    def sums(self) -> dict[str, Sum]:
        """What is summed up, by key."""
        found: dict[str, Sum] = {}
        seen = {hold: told for hold, *told in self._connection.execute(_USES, self._hours)}
        for row in self._connection.execute(_HOLDS, self._window):
            (number, host, user, name, environment, model, capacity, weight) = row[:8]
            memory, begin, last, gone = row[8:]
            if self._hosts is not None and host not in self._hosts:
                continue
            part = weight * portion(memory, capacity)
            key = self._key(host, user, name, environment, model)
            total = found.setdefault(key, Sum())
            total.leases += 1
            total.leased += part * self._hours_within(begin, last)
            if gone is not None:
                total.uncertain += part * self._hours_within(last, gone)
            if number in seen:
                total.saw(*seen[number])
        self._add_waits(found)
        return found

    def _hours_within(self, begin: float, end: float) -> float:
        begin, end = max(begin, self._window["since"]), min(end, self._window["until"])
        return max(0.0, end - begin) / HOUR

    def _add_waits(self, found: dict[str, Sum]) -> None:
        """Add the times in line. A request that waits on many hosts waits once."""
        if self._by is By.MODEL:
            return  # it waits for any that fits
        spans: dict[tuple[str, str], tuple[float, float]] = {}
        for host, user, name, environment, begin, end in self._connection.execute(
            _WAITS, self._window
        ):
            if self._hosts is not None and host not in self._hosts:
                continue
            key = self._key(host, user, name, environment, "")
            first, last = spans.get((key, environment), (begin, end))
            spans[(key, environment)] = (min(begin, first), max(end, last))
        for (key, _), (begin, end) in spans.items():
            found.setdefault(key, Sum()).waits(HOUR * self._hours_within(begin, end))

    def _key(self, host: str, user: str, name: str, environment: str, model: str) -> str:
        if self._by is By.USER:
            return user
        if self._by is By.GROUP:
            return self._group_of(user)
        if self._by is By.HOST:
            return host
        if self._by is By.MODEL:
            return model
        if self._by is By.PROJECT:
            return self._projects.get(environment) or UNKNOWN
        return name or UNKNOWN

    def watched(self) -> float:
        """The seconds in which a monitor has looked."""
        query = "SELECT begin, seen FROM watch WHERE begin < :until AND seen >= :since"
        spans = self._connection.execute(query, self._window)
        return HOUR * sum(self._hours_within(begin, seen) for begin, seen in spans)

    def hourly(self) -> list[tuple[int, float | None]]:
        """The utilization of the devices in each hour."""
        query = "SELECT device.id, host.name FROM device JOIN host ON host.id = device.host"
        wanted = frozenset(
            device
            for device, host in self._connection.execute(query)
            if self._hosts is None or host in self._hosts
        )
        since, until = self._window["since"], self._window["until"]
        return utilization_by_hour(self._connection, wanted, since, until)
