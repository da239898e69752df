"""What is known of every host now, and what has changed since: pages get the whole once, then
changes.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Plain = dict[str, Any]

# These change at each look without anything happening.
_CLOCKS = frozenset(("age_seconds", "waiting_seconds", "seconds_left", "seen_epoch_seconds"))
# Changes that are kept for pages that are slow; one that is slower gets the whole again.
_MOST_CHANGES = 4096


class Picture:
    """The hosts as JSON has them, in the order of the fleet; written and read by many threads."""

    def __init__(self, hosts: Sequence[str]) -> None:
        self._lock = threading.Lock()
        self._hosts: dict[str, Plain] = {name: {"host": name, "ok": None} for name in hosts}
        self._revision = 0
        self._changes: deque[bytes] = deque(maxlen=_MOST_CHANGES)
        self._whole: tuple[int, bytes] | None = None
        self.on_change: Callable[[], object] = lambda: None

    def show(self, entry: Plain) -> None:
        """Put an entry in place of the one of its host."""
        with self._lock:
            before = self._hosts[entry["host"]]
            self._hosts[entry["host"]] = entry
            change = difference(before, entry)
            if change is not None:
                self._revision += 1
                self._changes.append(_event("host", change))
                self._whole = None
        if change is not None:
            self.on_change()

    def hosts(self) -> list[Plain]:
        """Return what is known of each host."""
        with self._lock:
            return list(self._hosts.values())

    def news(self, revision: int | None) -> tuple[int, bytes]:
        """Return the present revision, and events that lead there from another one, or from none.

        They are events of a text/event-stream: `all` with every host, or `host` with a change.
        """
        with self._lock:
            missed = self._revision - (revision or 0)
            if revision is not None and missed <= len(self._changes):
                first = len(self._changes) - missed
                return self._revision, b"".join(list(self._changes)[first:] if missed else ())
            if self._whole is None or self._whole[0] != self._revision:
                event = _event("all", {"hosts": list(self._hosts.values())})
                self._whole = (self._revision, event)
            return self._whole


def difference(before: Plain, after: Plain) -> Plain | None:
    """Return what has changed of a host; None if nothing has, clocks aside.

    It has `host`, when it was seen, and the keys whose values are others now. Of devices there are
    those that have changed, each with its `uuid` and the keys whose values are others. A host that
    was down or is, or whose devices are others, is given as a whole: then `whole` is true.
    """
    if before.get("ok") and after["ok"] and _uuids(before) == _uuids(after):
        change = _changed(before, after)
        if "devices" in change:
            change["devices"] = [
                {"uuid": new["uuid"], **_changed(old, new)}
                for old, new in zip(before["devices"], after["devices"], strict=True)
                if _still(old) != _still(new)
            ]
        if not change:
            return None
        return {"host": after["host"], "seen_epoch_seconds": after["seen_epoch_seconds"], **change}
    return None if _still(before) == _still(after) else {**after, "whole": True}


def _uuids(entry: Plain) -> list[str]:
    return [device["uuid"] for device in entry["devices"]]


def _changed(before: Plain, after: Plain) -> Plain:
    return {
        key: value
        for key, value in after.items()
        if key not in _CLOCKS and (key not in before or _still(before[key]) != _still(value))
    }


def _still(value: Any) -> Any:
    """A value without its clocks."""
    if isinstance(value, dict):
        return {key: _still(each) for key, each in value.items() if key not in _CLOCKS}
    if isinstance(value, list):
        return [_still(each) for each in value]
    return value


def _event(name: str, value: Plain) -> bytes:
    # ASCII: no character of a host is a line's end to whoever reads the stream.
    return f"event: {name}\ndata: {json.dumps(value, separators=(',', ':'))}\n\n".encode("ascii")
