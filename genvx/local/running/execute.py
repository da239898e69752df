"""Becoming a command."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING, Optional

from genvx.core.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PASSED_ON = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
NOT_FOUND = 127
NOT_EXECUTABLE = 126


def reset_signals() -> None:
    """Undo what Python changed, before exec: a shell that ignores SIGPIPE surprises its user."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    for number in PASSED_ON:
        # A handler of Python's would take a signal that waits, and exec would forget that it came.
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def execute(
    argv: Sequence[str], environment: Mapping[str, str], program: Optional[str] = None
) -> None:
    """Become a command; never returns. It keeps only the descriptors above 2 that are inheritable.

    If it cannot be started, exit with 127 or 126, as a shell does.
    """
    reset_signals()
    try:
        os.execvpe(program or argv[0], list(argv), dict(environment))
    except FileNotFoundError:
        code, reason = NOT_FOUND, "command not found"
    except (OSError, ValueError) as error:
        code, reason = NOT_EXECUTABLE, getattr(error, "strerror", None) or str(error)
    with contextlib.suppress(OSError):
        os.write(2, f"genvx: {printable(argv[0], 100)}: {reason}\n".encode())
    os._exit(code)
