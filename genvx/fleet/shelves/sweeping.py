"""Blobs that no manifest names are deleted, also while others push and purge.

A push writes down which hashes it needs, then reads which blobs are about to be deleted, and sends
those anew, under another key. A sweep writes down which blobs it is about to delete, then reads
what pushes need, then the manifests, and spares all that. Whichever of the two wrote first is seen
by the other. So no clock decides; times only tell what was left by somebody who was killed.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import time
from typing import TYPE_CHECKING

from genvx.errors import CloudError
from genvx.fleet.shelves import kept as keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from genvx.clouds.s3.bucket import Bucket, Listed

# What is older was left by somebody who was killed. Whoever is alive writes it anew long before, or
# gives up.
_LEFT_BEHIND = datetime.timedelta(hours=24)
FRESH_SECONDS = 3600.0
TOO_OLD_SECONDS = 6 * 3600.0
_MOST_BYTES = 256 << 20


def now() -> float:
    """Seconds that count also while a machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Intent:
    """The hashes that a push needs, written down where sweeps look."""

    def __init__(self, bucket: Bucket, needed: Iterable[str]) -> None:
        self._bucket = bucket
        self._data = json.dumps(sorted(needed)).encode()
        self._key = f"{keys.PUSHES}{os.urandom(8).hex()}"
        self._written = 0.0

    def write(self) -> None:
        """Write it down, or anew."""
        self._bucket.put(self._key, self._data)
        self._written = now()

    def refresh(self) -> None:
        """Write it anew if it gets old."""
        if now() - self._written > FRESH_SECONDS:
            self.write()

    @property
    def is_safe(self) -> bool:
        """Whether every sweep since it was written has seen it."""
        return now() - self._written < TOO_OLD_SECONDS

    def remove(self) -> None:
        """Take it away."""
        self._bucket.delete(self._key)


def doomed(bucket: Bucket) -> set[str]:
    """Return the keys of blobs that somebody is about to delete."""
    return _written(bucket, bucket.keys(keys.SWEEPS))


def _written(bucket: Bucket, listed: Iterable[Listed]) -> set[str]:
    found: set[str] = set()
    for got in bucket.each(lambda each: bucket.get(each.key, _MOST_BYTES), listed):
        if got is None:
            continue
        try:
            plain = json.loads(got.data)
            found.update(str(each) for each in plain)
        except (ValueError, TypeError, RecursionError):
            raise CloudError("what a push or a purge has written down cannot be read") from None
    return found


def sweep(bucket: Bucket, named: Callable[[], set[str]]) -> int:
    """Delete the blobs that no manifest names; return how many.

    named: reads the keys of the blobs that manifests name.
    """
    there = [each.key for each in bucket.keys(keys.BLOBS)]
    unnamed = set(there) - named() if there else set()
    if not unnamed:
        return 0
    mine = f"{keys.SWEEPS}{os.urandom(8).hex()}"
    bucket.put(mine, json.dumps(sorted(unnamed)).encode())
    began, deleting = now(), False
    try:
        pushes, left = _pushes(bucket, mine)
        needed = _written(bucket, pushes)
        spared = named()
        gone = [key for key in unnamed - spared if _digest(key) not in needed]

        def delete(key: str) -> None:
            # Much later it would be taken for one that was left behind.
            if now() - began < FRESH_SECONDS:
                bucket.delete(key)

        deleting = True
        for _ in bucket.each(delete, gone):
            pass
        for key in left:
            bucket.delete(key)
        deleting = False
    finally:
        # What we gave up on may be deleted a little later.
        if not deleting:
            with contextlib.suppress(CloudError):
                bucket.delete(mine)
    return len(gone)


def _digest(key: str) -> str:
    return key.rpartition("/")[2].partition(".")[0]


def _pushes(bucket: Bucket, mine: str) -> tuple[list[Listed], list[str]]:
    """Return what pushes have written down, and the keys of what was left behind."""
    sweeps = list(bucket.keys(keys.SWEEPS))
    # By the clock of the store: ours was written just now.
    clock = next((each.modified for each in sweeps if each.key == mine), None)
    pushes = list(bucket.keys(keys.PUSHES))

    def is_old(each: Listed) -> bool:
        return (
            clock is not None and each.modified is not None
        ) and clock - each.modified > _LEFT_BEHIND

    left = [each.key for each in (*sweeps, *pushes) if is_old(each)]
    return [each for each in pushes if each.key not in left], left
