"""A fresh Python that finds the genvx that runs here, however that is installed."""

from __future__ import annotations

import os
import sys


def command(code: str, *words: str) -> list[str]:
    """The command that runs `code`, which may import genvx; `words` are its sys.argv[1:].

    It skips site-packages' start-up, which costs more than all else, and gets our path instead.
    """
    begin = f"import sys; sys.path[:] = {path()!r}; {code}"
    return [sys.executable, "-S", "-E", "-c", begin, *words]


def path() -> list[str]:
    """Where a fresh Python finds genvx and what it imports."""
    import genvx

    # An editable install may be found by a hook of site-packages, which is not on the path.
    ours = os.path.dirname(os.path.dirname(os.path.abspath(genvx.__file__)))
    # Absolute, because the other Python may start in another directory.
    return [*map(os.path.abspath, sys.path), ours]
