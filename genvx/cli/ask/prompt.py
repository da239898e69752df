"""Asking the person at the terminal for a secret."""

from __future__ import annotations

import os
from collections.abc import Callable

from genvx.cli.show.progress import LINE


def prompt() -> Callable[[str], str | None] | None:
    """What asks on our terminal, wherever our streams go; None if we have none."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return None
    return _ask


def _ask(question: str) -> str | None:
    import getpass

    try:
        with LINE:
            # Over the progress line, which is drawn again when the next host answers.
            return getpass.getpass(f"\r\x1b[K{question}")
    except EOFError:
        return None
