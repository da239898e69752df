"""Work that goes on in a separate process, which nobody has to wait for."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Callable


def apart(work: Callable[[], None], keep: Sequence[int] = ()) -> None:
    """Call `work` in a separate process without a terminal and without our other descriptors.

    keep: descriptors that stay open in it.

    Raises:
        OSError: the process cannot be started.
    """
    child = os.fork()
    if child == 0:
        code = errno.EAGAIN
        try:
            # A session of its own: the terminal's Ctrl-C and hang-up must not end the keeper with
            # the shell.
            os.setsid()
            # Twice forked: the process belongs to init, which reaps it, so the program that called
            # us gets no child that it does not know.
            if os.fork() == 0:
                _close_all(keep)
                work()
            code = 0
        except OSError as error:
            code = error.errno or code
        finally:
            os._exit(code)
    try:
        code = os.WEXITSTATUS(os.waitpid(child, 0)[1])
    except ChildProcessError:
        return  # the program ignores SIGCHLD: the kernel keeps no exit code
    if code:
        raise OSError(code, os.strerror(code))


def _close_all(keep: Sequence[int]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    with contextlib.suppress(OSError):
        os.chdir("/")
    # A copy of the lease would keep it held for ever, and a copy of a pipe would let its reader
    # wait.
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(null, descriptor)
    first = 3
    for descriptor in sorted(keep):
        os.closerange(first, descriptor)
        first = descriptor + 1
    os.closerange(first, 65536)
