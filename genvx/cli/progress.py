"""One line that says how far a question to many hosts has come; only on a terminal, and
only if it takes long.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

_PATIENCE = 0.5


class Progress:
    """`37/256 hosts, 2 failed` on stderr, gone when the block ends."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._begin = time.monotonic()
        self._shown = False
        self._active = total > 1 and sys.stderr.isatty()

    def update(self, succeeded: int, failed: int) -> None:
        if not self._active or time.monotonic() - self._begin < _PATIENCE:
            return
        if succeeded + failed == self._total and not self._shown:
            return  # it would be gone before anybody could read it
        trouble = f", {failed} failed" if failed else ""
        sys.stderr.write(f"\r\x1b[K{succeeded + failed}/{self._total} hosts{trouble}")
        sys.stderr.flush()
        self._shown = True

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
