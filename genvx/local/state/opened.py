"""A descriptor that is closed when nobody needs it any more, as a file is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Callable


class Opened:
    """An open descriptor, closed by `close` or with the last reference to this.

    A fork does not close what it inherits so: it may have closed everything, and have opened
    something else under the same number.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self._process = os.getpid()

    def close(self) -> None:
        """Close it. Twice is once."""
        number, self.number = self.number, -1
        if number >= 0:
            os.close(number)

    def __del__(
        self,
        # Bound here: when a program ends, the module's own names may be gone first.
        _process: Callable[[], int] = os.getpid,
        _close: Callable[[int], None] = os.close,
    ) -> None:
        if self.number >= 0 and self._process == _process():
            try:
                _close(self.number)
            except OSError:
                pass  # the program has closed it, with all others
