"""Summaries of whole hours, made of the looks in them."""

from __future__ import annotations

from array import array
from operator import add
from typing import TYPE_CHECKING

from genvx.watching.history.readings import (
    NO_BYTE,
    NO_WORD,
    Reading,
    devices_of,
    layout_of,
    pack,
    unpack,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

HOUR = 3600
# Looks are kept for a day and the hour before it, everything else for a year.
FINE, COARSE = 25 * HOUR, 366 * 24 * HOUR


def layout_id(connection: sqlite3.Connection, devices: Sequence[int]) -> int:
    """Return the id of a layout: which devices some readings are of, in this order."""
    packed = layout_of(devices)
    connection.execute("INSERT OR IGNORE INTO layout (devices) VALUES (?)", (packed,))
    query = "SELECT id FROM layout WHERE devices = ?"
    found: int = connection.execute(query, (packed,)).fetchone()[0]
    return found


def summarize(connection: sqlite3.Connection, now: float) -> None:
    """Make the summaries of hours that are over and have none, and delete what is too old."""
    this = int(now // HOUR)
    hours = "SELECT DISTINCT CAST(at / 3600 AS INTEGER) FROM look WHERE at < ?"
    for (hour,) in connection.execute(hours, (this * HOUR,)).fetchall():
        if not connection.execute("SELECT 1 FROM hour WHERE hour = ?", (hour,)).fetchone():
            means = mean_of(connection, hour * HOUR, (hour + 1) * HOUR)
            connection.execute(
                "INSERT INTO hour VALUES (?, ?, ?)",
                (hour, layout_id(connection, list(means)), pack(list(means.values()))),
            )
    old = now - COARSE
    connection.execute("DELETE FROM look WHERE at < ?", (now - FINE,))
    connection.execute("DELETE FROM hour WHERE hour < ?", (old // HOUR,))
    connection.execute("DELETE FROM use WHERE hour < ?", (old // HOUR,))
    connection.execute("DELETE FROM hold WHERE gone < ?", (old,))
    connection.execute("DELETE FROM wait WHERE gone < ?", (old,))
    connection.execute("DELETE FROM run WHERE coalesce(ended, submitted) < ?", (old,))
    connection.execute("DELETE FROM watch WHERE seen < ?", (old,))
    connection.execute(
        "DELETE FROM layout WHERE id NOT IN (SELECT layout FROM look UNION SELECT layout FROM hour)"
    )


class _Mean:
    """The mean of a column over many looks of one layout."""

    def __init__(self, count: int, none: int) -> None:
        self._totals = [0] * count
        self._none = none
        self._looks = 0
        # By place: in how many looks the reading was unknown; mostly in none.
        self._missing: dict[int, int] = {}

    def add(self, column: Sequence[int]) -> None:
        """Add a look."""
        self._looks += 1
        if self._none in column:
            places = [at for at, number in enumerate(column) if number == self._none]
            for at in places:
                self._missing[at] = self._missing.get(at, 0) + 1
                self._totals[at] -= self._none
        self._totals = list(map(add, self._totals, column))

    def at(self, place: int) -> int | None:
        """The mean at a place, or None if it was never known."""
        known = self._looks - self._missing.get(place, 0)
        return round(self._totals[place] / known) if known else None


def mean_of(connection: sqlite3.Connection, begin: float, end: float) -> dict[int, Reading]:
    """Return the mean readings of each device over the looks in a time, by its id.

    Where hosts came or went in between, a device has the mean of its last layout.
    """
    found: dict[int, Reading] = {}
    query = "SELECT DISTINCT layout FROM look WHERE at >= ? AND at < ? ORDER BY layout"
    for (layout,) in connection.execute(query, (begin, end)).fetchall():
        looks = "SELECT layout, readings FROM look WHERE at >= ? AND at < ? AND layout = ?"
        means: tuple[_Mean, ...] = ()
        devices: array[int] = array("I")
        for devices, columns in _looks(connection, looks, (begin, end, layout)):
            nones = (NO_BYTE, NO_WORD, NO_WORD)
            means = means or tuple(_Mean(len(devices), none) for none in nones)
            for mean, column in zip(means, columns, strict=True):
                mean.add(column)
        for place, device in enumerate(devices):
            found[device] = Reading(*(mean.at(place) for mean in means))
    return found


def _looks(
    connection: sqlite3.Connection, query: str, words: tuple[float, ...]
) -> Iterator[tuple[array[int], tuple[bytes, array[int], array[int]]]]:
    known: dict[int, array[int]] = {}
    for layout, data in connection.execute(query, words):
        devices = known.get(layout)
        if devices is None:
            row = connection.execute("SELECT devices FROM layout WHERE id = ?", (layout,))
            devices = known[layout] = devices_of(row.fetchone()[0])
        yield devices, unpack(data, len(devices))


def utilization_by_hour(
    connection: sqlite3.Connection, devices: frozenset[int], since: float, until: float
) -> list[tuple[int, float | None]]:
    """Return the mean utilization in percent of some devices together, for each hour; None where
    nobody has looked.
    """
    found: list[tuple[int, float | None]] = []
    for hour in range(int(since // HOUR), int(until // HOUR) + 1):
        query = "SELECT layout, readings FROM hour WHERE hour = ?"
        rows = list(_looks(connection, query, (hour,)))
        if not rows:
            # The present hour, and one in which the monitor has ended, have no summary yet.
            query = "SELECT layout, readings FROM look WHERE at >= ? AND at < ?"
            rows = list(_looks(connection, query, (hour * HOUR, (hour + 1) * HOUR)))
        total = count = 0
        for ids, (busy, _, _) in rows:
            for device, percent in zip(ids, busy, strict=True):
                if percent != NO_BYTE and device in devices:
                    total += percent
                    count += 1
        found.append((hour, total / count if count else None))
    return found
