"""Writes rounds to a history, each in one transaction, and goes on where the disk is full."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from typing import TYPE_CHECKING

from genvx.errors import StateError
from genvx.watching import clock
from genvx.watching.history import hours
from genvx.watching.history.claims import Claims, stored
from genvx.watching.history.readings import NOTHING, Reading, of_snapshot, pack
from genvx.watching.history.runrows import run_row
from genvx.watching.history.schema import open_to_write
from genvx.watching.hostmetrics import MOST_DEVICES
from genvx.watching.shares import weight_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from genvx.core.device import Device
    from genvx.core.runs.runinfo import RunInfo
    from genvx.core.snapshot import Snapshot
    from genvx.watching.sight import Sight

    # What a host tells of a device: its label, its model, its memory.
    _Told = tuple[str, str, int | None]

# Seconds by which a clock is set; programs that keep it right let it run faster or slower instead.
_STEP = 2.0
# A host that was not asked for so many rounds was not watched meanwhile.
_GAP = 3
# Devices of one host, over all years; MIG instances get another UUID each time they are made.
_MOST_KNOWN = 4096
_USE = """INSERT INTO use VALUES (?, ?, ?, ?, ?) ON CONFLICT (hour, hold) DO UPDATE SET
    seconds = seconds + excluded.seconds, busy = busy + excluded.busy,
    peak = max(peak, excluded.peak)"""
_DEVICE = """INSERT INTO device (host, uuid, label, model, memory, weight)
    VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (host, uuid) DO UPDATE SET label = excluded.label,
    model = excluded.model, memory = excluded.memory, weight = excluded.weight RETURNING id"""
_RUN = "INSERT OR REPLACE INTO run VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class Recorder:
    """The one writer of a history.

    every: seconds from one round to the next. tell: gets a line when the file cannot be written any
    more, and one when it can again. offset: how far the clock of looks is before one that is never
    set; see clock.offset.

    Raises:
        StateError: the file cannot be written, is no history, or another monitor writes it.
    """

    def __init__(
        self,
        path: Path,
        every: float,
        tell: Callable[[str], object],
        *,
        offset: Callable[[], float] = clock.offset,
    ) -> None:
        self.path = path
        self._offset = offset
        # That of the last round that was written.
        self._ahead = offset()
        self._every = every
        self._tell = tell
        self._connection, self._lock = open_to_write(path)
        self._fails = False
        self._watch: int | None = None
        self._summarized = -1
        # By host: when we looked last, and the devices that were there; of this process only.
        self._looked: dict[int, float] = {}
        self._present: dict[int, list[int]] = {}
        self._load()

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._connection.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def take(self, sights: Sequence[Sight], runs: Mapping[str, Sequence[RunInfo]]) -> bool:
        """Write a round; return whether that was possible. runs: what hosts have told of theirs."""
        if not sights:
            return not self._fails
        step = self._offset() - self._ahead
        try:
            if self._stale:
                self._load()
            self._connection.execute("BEGIN IMMEDIATE")
            if abs(step) < _STEP:
                self._write(sights, runs)
            else:
                # These looks may be from before the clock was set as well as from after it.
                self._move(step)
            self._connection.execute("COMMIT")
        except (sqlite3.Error, StateError) as error:
            self._undo()
            if not self._fails:
                self._tell(
                    f"the history {self.path} cannot be written: {error}; the monitor goes on, and "
                    "writes again when it can"
                )
            self._fails = True
            return False
        self._ahead += step
        if abs(step) >= _STEP:
            self._looked = {host: at + step for host, at in self._looked.items()}
        if self._fails:
            self._tell(f"the history {self.path} is written again")
        self._fails = False
        return True

    def _undo(self) -> None:
        # What we know of the file may be of the round that is not in it.
        self._stale = True
        self._watch = None
        self._summarized = -1
        # Some errors have rolled back already.
        if self._connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")

    def _load(self) -> None:
        query = self._connection.execute
        self._hosts: dict[str, int] = dict(query("SELECT name, id FROM host").fetchall())
        self._seen: dict[int, float] = dict(query("SELECT id, seen FROM host").fetchall())
        self._devices: dict[tuple[int, str], tuple[int, _Told]] = {
            (host, uuid): (number, (label, model, memory))
            for number, host, uuid, label, model, memory in query(
                "SELECT id, host, uuid, label, model, memory FROM device"
            )
        }
        self._known: dict[int, int] = {}
        for host, _ in self._devices:
            self._known[host] = self._known.get(host, 0) + 1
        self._claims = Claims(self._connection)
        self._layout: tuple[int, list[int]] | None = None
        self._stale = False

    def _move(self, step: float) -> None:
        """Set what is open by as much as the clock was set: how long a lease has lasted does not
        change by that.
        """
        move = self._connection.execute
        move("UPDATE hold SET begin = begin + ? WHERE gone IS NULL", (step,))
        move("UPDATE wait SET begin = begin + ? WHERE gone IS NULL", (step,))
        move("UPDATE host SET seen = seen + ?", (step,))
        watch = (step, step, self._watch)
        move("UPDATE watch SET begin = begin + ?, seen = seen + ? WHERE id = ?", watch)
        self._stale = True

    def _write(self, sights: Sequence[Sight], runs: Mapping[str, Sequence[RunInfo]]) -> None:
        now = max(sight.at for sight in sights)
        self._write_watch(now)
        readings: dict[int, Reading] = {}
        uses: list[tuple[int, int, float, float, int]] = []
        for sight in sights:
            if sight.snapshot is not None:
                self._write_host(sight.host, sight.at, sight.snapshot, readings, uses)
        self._connection.executemany(_USE, uses)
        for host, told in runs.items():
            self._connection.executemany(_RUN, (run_row(self._host(host), run) for run in told))
        layout, ids = self._layout_of_all()
        packed = pack([readings.get(each, NOTHING) for each in ids])
        self._connection.execute(
            "INSERT OR REPLACE INTO look VALUES (?, ?, ?)", (now, layout, packed)
        )
        hour = int(now // hours.HOUR)
        if hour != self._summarized:
            hours.summarize(self._connection, now)
            self._summarized = hour
            self._layout = None  # an unused one may just have been deleted

    def _write_watch(self, now: float) -> None:
        if self._watch is None:
            cursor = self._connection.execute(
                "INSERT INTO watch (begin, seen, every) VALUES (?, ?, ?)", (now, now, self._every)
            )
            self._watch = cursor.lastrowid
        else:
            self._connection.execute("UPDATE watch SET seen = ? WHERE id = ?", (now, self._watch))

    def _write_host(
        self,
        name: str,
        at: float,
        snapshot: Snapshot,
        readings: dict[int, Reading],
        uses: list[tuple[int, int, float, float, int]],
    ) -> None:
        """Write a look at a host; add what its devices read, and how its holds use them."""
        host = self._host(name)
        ids = {}
        for device in snapshot.devices[:MOST_DEVICES]:
            number = self._device(host, device)
            if number is not None:
                ids[device.uuid] = number
        before = self._seen.get(host)
        looked = self._claims.take_holds(host, at, before, snapshot, ids)
        self._claims.take_waits(host, at, before, snapshot)
        self._connection.execute("UPDATE host SET seen = ? WHERE id = ?", (at, host))
        self._seen[host] = at
        # What passed while nobody looked is not counted: how busy it was is not known.
        since = self._looked.get(host)
        self._looked[host] = at
        passed = 0.0 if since is None else max(0.0, at - since)
        if passed > _GAP * self._every:
            passed = 0.0
        hour = int((at - passed / 2) // hours.HOUR)
        for hold, age, percent in looked:
            seconds = min(passed, age)
            uses.append((hour, hold, seconds, seconds * percent / 100, percent))
        for uuid, reading in of_snapshot(snapshot).items():
            if uuid in ids:
                readings[ids[uuid]] = reading
        present = sorted(ids.values())
        if self._present.get(host) != present:
            self._present[host] = present
            self._layout = None

    def _layout_of_all(self) -> tuple[int, list[int]]:
        """The devices of all hosts that have ever answered us, and the id of that layout."""
        if self._layout is None:
            ids = sorted(each for found in self._present.values() for each in found)
            self._layout = (hours.layout_id(self._connection, ids), ids)
        return self._layout

    def _host(self, name: str) -> int:
        found = self._hosts.get(name)
        if found is None:
            cursor = self._connection.execute("INSERT INTO host (name) VALUES (?)", (name,))
            assert cursor.lastrowid is not None
            found = self._hosts[name] = cursor.lastrowid
        return found

    def _device(self, host: int, device: Device) -> int | None:
        """The id of a device; None if its host has made up too many."""
        told: _Told = (device.label, device.name, stored(device.memory))
        found = self._devices.get((host, device.uuid))
        if found is None:
            self._known[host] = self._known.get(host, 0) + 1
            if self._known[host] > _MOST_KNOWN:
                return None
        if found is None or found[1] != told:
            weight = weight_of(device.name, instance=device.instance is not None)
            (number,) = self._connection.execute(
                _DEVICE, (host, device.uuid, *told, weight)
            ).fetchone()
            found = self._devices[(host, device.uuid)] = (number, told)
        return found[0]
