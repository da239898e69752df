"""From when on usage is told."""

from __future__ import annotations

import re
from datetime import datetime

from genvx.core.quantities.durations import parse_duration
from genvx.core.text import printable
from genvx.errors import InvalidInput, InvalidQuantity
from genvx.watching import clock

# Unless somebody says so.
USUAL = "7d"
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2})?", re.ASCII)


def parse_since(text: str, now: float | None = None) -> tuple[float, float]:
    """Return the begin that "24h", "7d", "2026-11-01" or "2026-11-01T12:00" means, and now, both
    in seconds since the epoch. A day begins at midnight here.

    Raises:
        InvalidInput: it means none, or one in the future.
    """
    now = clock.now() if now is None else now
    shown = printable(text, 40)
    if _DATE.fullmatch(text.strip()):
        try:
            begin = datetime.fromisoformat(text.strip()).timestamp()
        except (ValueError, OverflowError):
            raise InvalidInput(f"--since: no such day: {shown!r}") from None
        if not 0 <= begin < now:
            raise InvalidInput(f"--since: {shown} is not in the past")
        return begin, now
    try:
        return max(0.0, now - parse_duration(text)), now
    except InvalidQuantity as error:
        raise InvalidInput(f"--since: {error}, or a day like 2026-11-01") from None
