"""Who holds devices and who waits, as rows with a begin and an end.

A row is open (`gone` is null) while each look has found it. Its end lies between the last look that
has found it (`seen`) and the first that has not (`gone`): nobody has seen it, so none is made up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.watching.shares import busy_percent

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from genvx.core.leases.claim import EnvironmentKey
    from genvx.core.snapshot import Snapshot

    Hold = tuple[int, int, str]  # device, uid, environment
    Uses = list[tuple[int, float, int]]

# New rows within an hour, of one host and of one user there. A host that makes up others at each
# look would fill the disk; what one user makes up must not push out what others have.
_MOST_OF_HOST, _MOST_OF_USER = 16_384, 1024
# The begin of a lease is told by its age, which varies by how long the answer travels.
_BLUR = 2.0
_LARGEST = (1 << 63) - 1
_OPEN_HOLDS = """SELECT device.host, hold.id, hold.device, hold.uid, hold.environment FROM hold
    JOIN device ON device.id = hold.device WHERE hold.gone IS NULL"""


class Claims:
    """The open rows of a history, by the id of their host."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute
        self._holds: dict[int, dict[Hold, int]] = {}
        self._waits: dict[int, dict[str, int]] = {}
        for host, number, *hold in self._execute(_OPEN_HOLDS):
            self._holds.setdefault(host, {})[(hold[0], hold[1], hold[2])] = number
        query = "SELECT host, ticket, id FROM wait WHERE gone IS NULL"
        for host, ticket, number in self._execute(query):
            self._waits.setdefault(host, {})[ticket] = number
        self._hour = 0
        self._fresh: dict[tuple[int, int | None], int] = {}

    def _may_begin(self, host: int, uid: int, at: float) -> bool:
        """Whether one more row of a user on a host is written in this hour."""
        if int(at // 3600) != self._hour:
            self._hour = int(at // 3600)
            self._fresh.clear()
        kept = self._fresh
        of_host, of_user = kept.get((host, None), 0), kept.get((host, uid), 0)
        if of_host >= _MOST_OF_HOST or of_user >= _MOST_OF_USER:
            return False
        kept[(host, None)], kept[(host, uid)] = of_host + 1, of_user + 1
        return True

    def take_holds(
        self,
        host: int,
        at: float,
        before: float | None,
        snapshot: Snapshot,
        ids: Mapping[str, int],
    ) -> Uses:
        """Write who holds what on a host at a look; return each hold, its age in seconds, and in
        percent how busy it keeps its device, where that is known.

        before: the last look at this host. ids: of the devices that are recorded, by UUID.
        """
        begins = _begins(snapshot, at)
        names = {env.key: (env.owner.name, env.name) for env in snapshot.environments}
        known, now = self._holds.get(host, {}), {}
        uses: Uses = []
        for device in snapshot.devices:
            if device.uuid not in ids:
                continue
            held = snapshot.holdings.get(device.uuid)
            for key, memory in (held or {}).items():
                hold = (ids[device.uuid], key[0], key[1])
                begin = begins[(key, device.uuid)]
                number = known.get(hold)
                # Given back and taken again between two looks, by the same environment.
                if number is None or (before is not None and begin > before + _BLUR):
                    if not self._may_begin(host, key[0], at):
                        continue
                    number = self._begin_hold(hold, names[key], memory, begin)
                now[hold] = number
                percent = busy_percent(snapshot, device, key, held or {})
                if percent is not None:
                    uses.append((number, max(0.0, at - begin), percent))
        for hold, number in known.items():
            if now.get(hold) != number:
                self._end("hold", number, before, at)
        self._holds[host] = now
        return uses

    def _begin_hold(
        self, hold: Hold, names: tuple[str, str], memory: int | None, begin: float
    ) -> int:
        cursor = self._execute(
            "INSERT INTO hold (device, uid, environment, user, name, memory, begin) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*hold, *names, stored(memory), begin),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def take_waits(self, host: int, at: float, before: float | None, snapshot: Snapshot) -> None:
        """Write who waits on a host at a look."""
        known, now = self._waits.get(host, {}), {}
        for ticket in snapshot.tickets:
            number = known.get(ticket.id)
            if number is None:
                if not self._may_begin(host, ticket.owner.uid, at):
                    continue
                row = (
                    host,
                    ticket.id,
                    ticket.environment_id,
                    ticket.owner.uid,
                    ticket.owner.name,
                    ticket.name,
                    ticket.requirements.gpus,
                    at - snapshot.age_seconds(ticket.since_ns),
                )
                cursor = self._execute(
                    "INSERT INTO wait (host, ticket, environment, uid, user, name, gpus, begin) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    row,
                )
                assert cursor.lastrowid is not None
                number = cursor.lastrowid
            now[ticket.id] = number
        for identifier, number in known.items():
            if identifier not in now:
                self._end("wait", number, before, at)
        self._waits[host] = now

    def _end(self, table: str, number: int, seen: float | None, gone: float) -> None:
        self._execute(f"UPDATE {table} SET seen = ?, gone = ? WHERE id = ?", (seen, gone, number))


def stored(number: int | None) -> int | None:
    """Return a number of a host as SQLite can store it; the wire allows larger ones."""
    return None if number is None else min(number, _LARGEST)


def _begins(snapshot: Snapshot, at: float) -> dict[tuple[EnvironmentKey, str], float]:
    """When each environment took each of its devices: by its oldest lease on it."""
    found: dict[tuple[EnvironmentKey, str], float] = {}
    for lease in snapshot.leases:
        begin = at - snapshot.age_seconds(lease.since_ns)
        for uuid in lease.devices:
            key = (lease.key, uuid)
            found[key] = min(begin, found.get(key, begin))
    return found
