"""Commands that a supervisor runs for a run, of which nothing is left when they end.

They run below a guard, a process that ends them all when it is asked to end, and when the
supervisor is killed. So also the compilers that pip starts are ended, wherever they have put
themselves.
"""

from __future__ import annotations

import ctypes
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Optional

from genvx.local.runs import tree

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PR_SET_PDEATHSIG = 1
_SIGNALS = (signal.SIGTERM, signal.SIGCHLD)
_RESET = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE, signal.SIGXFSZ)
_STOPPED, _CANNOT = 143, 127


def guard(
    commands: Sequence[Sequence[str]],
    place: str,
    variables: Mapping[str, str],
    output: int,
    kept: int,
) -> int:
    """Start commands, one after the other, until one fails; return the pid of their guard, whose
    exit code is that of the last one.

    place: where they start. output: their stdout and stderr. kept: a descriptor that all of them
    inherit. SIGTERM to the guard ends them.
    """
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        code = _CANNOT
        try:
            os.setsid()
            tree.become_subreaper()
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
            signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
            for ours in _RESET:
                signal.signal(ours, signal.SIG_DFL)
            null = os.open(os.devnull, os.O_RDONLY)
            for number, each in enumerate((null, output, output)):
                os.dup2(each, number)
            os.set_inheritable(kept, True)
            os.chdir(place)
            # The supervisor may have been killed before we asked for the signal.
            code = _run(commands, variables) if os.getppid() == parent else _STOPPED
        except OSError as error:
            os.write(2, f"genvx: {error}\n".encode("utf-8", "replace"))
        finally:
            os._exit(code)
    return pid


def _run(commands: Sequence[Sequence[str]], variables: Mapping[str, str]) -> int:
    code = 0
    for argv in commands:
        child = os.posix_spawnp(
            argv[0],
            list(argv),
            variables,
            setsigmask=[],
            setsigdef=[signal.SIGTERM, signal.SIGCHLD],
        )
        status: Optional[int] = None
        while status is None:
            if signal.sigwait(_SIGNALS) == signal.SIGTERM:
                _end_all()
                return _STOPPED
            status = _reap(child)
        code = os.waitstatus_to_exitcode(status)
        if code:
            break
    # What a command has left behind would write into what others use by then.
    _end_all()
    if not code:
        # What counts as complete must also be so after a power failure.
        with suppress(AttributeError, OSError):
            ctypes.CDLL(None).syncfs(os.open(".", os.O_RDONLY | os.O_DIRECTORY))
    return code if code >= 0 else 128 - code


def _reap(child: int) -> Optional[int]:
    """Collect what has ended; return the status of this child if it is among that."""
    found = None
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == child:
                found = status
    return found


def _end_all() -> None:
    while not tree.is_empty():
        tree.signal_below(os.getpid(), signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(-1, 0)
