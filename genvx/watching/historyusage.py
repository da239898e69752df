"""Usage from the history of a monitor."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from genvx.errors import StateError
from genvx.watching.history.hours import utilization_by_hour
from genvx.watching.history.schema import open_to_read
from genvx.watching.usage import HOUR, UNKNOWN, By, Report, Sum, summed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# What is summed up by; a group is that of a user, which SQLite does not know.
_KEYS = {
    By.USER: "hold.user",
    By.GROUP: "hold.user",
    By.HOST: "host.name",
    By.MODEL: "device.model",
    By.PROJECT: f"coalesce(nullif(project.name, ''), '{UNKNOWN}')",
    By.NAME: f"coalesce(nullif(hold.name, ''), '{UNKNOWN}')",
}
_TABLES = "JOIN device ON device.id = hold.device JOIN host ON host.id = device.host"
_PROJECTS = """LEFT JOIN (SELECT id, max(project) AS name FROM run GROUP BY id) AS project
    ON project.id = hold.environment"""
_LAST = "coalesce(hold.seen, host.seen)"
# By `gone` first, which has an index: of a year, most holds ended before the time.
_WITHIN = f"""(hold.gone IS NULL OR hold.gone >= :since) AND {_LAST} >= :since
    AND hold.begin < :until"""
# The part of a GPU that a hold is: of the device its share of the memory.
_PART = """device.weight * CASE WHEN hold.memory IS NULL OR coalesce(device.memory, 0) = 0 THEN 1.0
    ELSE min(1.0, 1.0 * hold.memory / device.memory) END"""
_HOLDS = f"""SELECT {{key}}, count(*),
    sum({_PART} * max(0, min({_LAST}, :until) - max(hold.begin, :since))) / 3600,
    sum(CASE WHEN hold.gone IS NULL THEN 0 ELSE
        {_PART} * max(0, min(hold.gone, :until) - max({_LAST}, :since)) END) / 3600
    FROM hold {_TABLES} {{projects}} WHERE {_WITHIN} {{hosts}} GROUP BY 1"""
# Of the hour in which the time begins, a part counts: nobody knows which minutes were busy. Summed
# up by holds, which are numbers, and then by the key: to sort all by a text takes twice as long.
_USES = f"""SELECT {{key}}, sum(seen.seconds), sum(seen.busy), max(seen.peak) FROM
    (SELECT hold, sum(seconds * CASE hour WHEN :first THEN :part ELSE 1 END) AS seconds,
        sum(busy * CASE hour WHEN :first THEN :part ELSE 1 END) AS busy, max(peak) AS peak
        FROM use WHERE hour BETWEEN :first AND :last GROUP BY hold) AS seen
    CROSS JOIN hold ON hold.id = seen.hold {_TABLES} {{projects}}
    WHERE {_WITHIN} {{hosts}} GROUP BY 1"""
_WAITS = """SELECT host.name, wait.user, wait.name, (SELECT max(project) FROM run
    WHERE run.id = wait.environment), wait.environment, wait.begin, coalesce(wait.seen, host.seen)
    FROM wait JOIN host ON host.id = wait.host
    WHERE (wait.gone IS NULL OR wait.gone >= :since) AND coalesce(wait.seen, host.seen) >= :since
    AND wait.begin < :until"""


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
        self._words = {**self._window, **self._hours}

    def sums(self) -> dict[str, Sum]:
        """What is summed up, by key."""
        found: dict[str, Sum] = {}
        for key, leases, leased, uncertain in self._grouped(_HOLDS):
            total = found.setdefault(key, Sum())
            total.leases += leases
            total.leased += leased
            total.uncertain += uncertain
        for key, seconds, busy, peak in self._grouped(_USES):
            found.setdefault(key, Sum()).saw(seconds, busy, peak)
        self._add_waits(found)
        return found

    def _grouped(self, query: str) -> Iterator[tuple[Any, ...]]:
        """The rows of a query, one for each key, of the hosts that are asked about."""
        chosen = ""
        if self._hosts is not None:
            known = self._connection.execute("SELECT id, name FROM host")
            ids = ", ".join(str(number) for number, name in known if name in self._hosts)
            chosen = f"AND host.id IN ({ids})"
        projects = _PROJECTS if self._by is By.PROJECT else ""
        text = query.format(key=_KEYS[self._by], projects=projects, hosts=chosen)
        for key, *numbers in self._connection.execute(text, self._words):
            yield (self._group_of(key) if self._by is By.GROUP else key, *numbers)

    def _hours_within(self, begin: float, end: float) -> float:
        begin, end = max(begin, self._window["since"]), min(end, self._window["until"])
        return max(0.0, end - begin) / HOUR

    def _add_waits(self, found: dict[str, Sum]) -> None:
        """Add the times in line. A request that waits on many hosts waits once."""
        if self._by is By.MODEL:
            return  # it waits for any that fits
        spans: dict[tuple[str, str], tuple[float, float]] = {}
        for host, user, name, project, environment, begin, end in self._connection.execute(
            _WAITS, self._window
        ):
            if self._hosts is not None and host not in self._hosts:
                continue
            key = self._key(host, user, name, project)
            first, last = spans.get((key, environment), (begin, end))
            spans[(key, environment)] = (min(begin, first), max(end, last))
        for (key, _), (begin, end) in spans.items():
            found.setdefault(key, Sum()).waits(HOUR * self._hours_within(begin, end))

    def _key(self, host: str, user: str, name: str, project: str | None) -> str:
        if self._by is By.USER:
            return user
        if self._by is By.GROUP:
            return self._group_of(user)
        if self._by is By.HOST:
            return host
        return (project if self._by is By.PROJECT else name) or UNKNOWN

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
