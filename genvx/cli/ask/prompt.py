"""The question for a secret on the user's terminal."""

from __future__ import annotations

import os
from collections.abc import Callable

from genvx.cli.show.progress import LINE


def prompt() -> Callable[[str], str | None] | None:
    """Return a function that asks on our terminal; None if we have no terminal."""
    # /dev/tty instead of stdin and stderr: those may be redirected while a person is there.
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return None
    return _ask


def _ask(question: str) -> str | None:
    import getpass

    from genvx.cli.show.screen import aside

    try:
        # EOFError: Ctrl-D at the question gives no secret. Ctrl-C goes on to `door` and ends genvx.
        with LINE, aside():
            # Replaces the progress line, which is drawn again when the next host answers.
            return getpass.getpass(f"\r\x1b[K{question}")
    except EOFError:
        return None
