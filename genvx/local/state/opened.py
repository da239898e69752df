"""A descriptor that is closed with its last reference, as a file object is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Callable


class Opened:
    """An open descriptor, closed by `close` or with the last reference to this object.

    After a fork the child does not close it that way: it may have closed all descriptors, and
    another file may have the same number.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self._process = os.getpid()

    def close(self) -> None:
        """Close the descriptor. Idempotent."""
        number, self.number = self.number, -1
        if number >= 0:
            os.close(number)

    def __del__(
        self,
        # Bound as defaults: when the interpreter exits, the names of the module may be gone before
        # this runs.
        _process: Callable[[], int] = os.getpid,
        _close: Callable[[int], None] = os.close,
    ) -> None:
        if self.number >= 0 and self._process == _process():
            try:
                _close(self.number)
            except OSError:
                pass  # the program has closed all descriptors
