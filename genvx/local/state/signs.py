"""Tells whether the state has changed since it was read, much cheaper than reading it again.

A file that is published or withdrawn changes the time of its directory. A lease that ends drops its
lock. Other changes are not noticed, such as a ticket whose holder stopped attending, or a lease
whose time is over.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from genvx.local.state import locks
from genvx.local.state.kinds import CLAIMS, suffixes
from genvx.local.state.userdirectory import OWNERS_DOING

if TYPE_CHECKING:
    from genvx.local.state.directory import StateDirectory

# Descriptors that are kept for it at most. Where there are more files, all counts as changed.
_MOST = 100
_COARSE_NS = 20_000_000


class Signs:
    """Signs is what the state looked like at one moment.

    Make it before you read the state: then a change between the two is noticed.
    """

    def __init__(self, state: StateDirectory) -> None:
        self._kept = ExitStack()
        self._directories: list[tuple[int, int]] = []
        self._files: list[tuple[int, bool]] = []
        self._unknown = False
        try:
            self._take(state)
        except OSError:
            # No descriptors left, or a failing disk: the next reading of the state reports it.
            self._unknown = True
        except BaseException:
            self.close()
            raise

    def _take(self, state: StateDirectory) -> None:
        for each in (state, state.former):
            if each is not None:
                self._directory(each.descriptor)
        for user in state.users():
            self._directory(user.descriptor)
            names, whole = user.names(suffixes(CLAIMS))
            if not whole or len(self._files) + len(names) > _MOST:
                self._unknown = True
                return
            for name in names:
                try:
                    descriptor = user.open(name)
                except OSError as error:
                    if error.errno not in OWNERS_DOING:
                        raise
                    continue  # no lease; or it is gone, which changes the time of the directory
                self._kept.callback(os.close, descriptor)
                self._files.append((descriptor, locks.is_held(descriptor)))

    def _directory(self, descriptor: int) -> None:
        kept = os.dup(descriptor)
        self._kept.callback(os.close, kept)
        changed = os.fstat(kept).st_mtime_ns
        self._directories.append((kept, changed))
        # The next change may get the same time, where the kernel's clock for files is coarse.
        if time.time_ns() < changed + _COARSE_NS:
            self._unknown = True

    def have_changed(self) -> bool:
        """Whether something has been published, withdrawn or let go since; True if unknown."""
        try:
            return (
                self._unknown
                or any(os.fstat(each).st_mtime_ns != changed for each, changed in self._directories)
                or any(locks.is_held(each) != held for each, held in self._files)
            )
        except OSError:
            return True

    def close(self) -> None:
        """Close what it keeps open."""
        self._kept.close()
