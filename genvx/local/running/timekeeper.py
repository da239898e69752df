"""Ends an environment when its time is over: a warning, then TERM, then KILL.

A lease with an end has a keeper: a small separate process that holds nothing of the lease, and ends
with it. So the time is kept even if other processes are killed or stopped. If genvx runs a command
as its parent, the parent ends the command itself (supervise.py), and the keeper all other holders;
if the parent cannot, the keeper ends all of them.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from typing import TYPE_CHECKING, Optional

from genvx.core import escalation
from genvx.core.ages import format_duration
from genvx.core.value import value
from genvx.local.processes import boottime_ns
from genvx.local.running import ending
from genvx.local.running.leasefile import LeaseFile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Callable

OVER = "genvx: the time of this environment is over"

_NOTICE = 300.0
_LOOK = 1.0


def notice(seconds: float) -> float:
    """Return how many seconds before the end the warning comes, for an environment of `seconds`.

    Five minutes; for a short environment the last tenth of its time.
    """
    return min(_NOTICE, seconds / 10)


def warning(left: float) -> str:
    """Return the warning that is shown `left` seconds before the end."""
    return f"genvx: this environment ends in {format_duration(max(1.0, round(left)))}"


def keep(
    descriptor: int,
    end_ns: int,
    *,
    spare: Optional[int] = None,
    supervised: bool = False,
    grace: float = escalation.GRACE,
) -> None:
    """Start a process that ends all holders of a lease at `end_ns` of CLOCK_BOOTTIME.

    descriptor: of the lease's file; our copy stays open, the process closes its own. spare: a
    process that is left alive; the lease is released instead, which that process notices.
    supervised: whether the spared process warns and ends its command itself, while it runs. grace:
    seconds between SIGTERM and SIGKILL.

    Raises:
        OSError: the process cannot be started.
    """
    file = LeaseFile.of(descriptor)
    spared = None if spare is None else _Spared(spare, _stat(spare).starttime, supervised)
    terminal = _terminal()
    apart(lambda: _keep(file, end_ns, terminal, spared, grace))


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


def _terminal() -> Optional[str]:
    for number in range(3):
        with contextlib.suppress(OSError):
            return os.ttyname(number)
    return None


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


@value
class _Stat:
    """The state of a process from the kernel; starttime is 0 if it is gone."""

    state: str
    parent: int
    starttime: int


def _stat(pid: int) -> _Stat:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The command in parentheses may hold spaces and parentheses itself.
            words = file.read(4096).rpartition(b")")[2].split()
        return _Stat(words[0].decode(), int(words[1]), int(words[19]))
    except (OSError, ValueError, IndexError):
        return _Stat("", 0, 0)


@value
class _Spared:
    """A process that is left alive. supervises: whether it ends its command itself."""

    pid: int
    starttime: int
    supervises: bool

    def is_one(self, pid: int) -> bool:
        return pid == self.pid and _stat(pid).starttime == self.starttime

    def supervises_now(self) -> bool:
        """Whether it supervises, runs, and is not stopped."""
        now = _stat(self.pid)
        running = now.starttime == self.starttime and now.state not in "TtZX"
        return self.supervises and running

    def ends_itself(self, pid: int) -> bool:
        """Whether a process is its command, or in the process group of that command."""
        with contextlib.suppress(OSError):
            group = os.getpgid(pid)
            in_group = group != os.getpgid(self.pid) and _stat(group).parent == self.pid
            return in_group or _stat(pid).parent == self.pid
        return False


def _keep(
    file: LeaseFile,
    end_ns: int,
    terminal: Optional[str],
    spared: Optional[_Spared],
    grace: float = escalation.GRACE,
) -> None:
    def tell(line: str) -> None:
        if not (spared and spared.supervises_now()):
            _tell(terminal, line)

    warn_ns: Optional[int] = end_ns - round(notice((end_ns - boottime_ns()) / 1e9) * 1e9)
    while (now_ns := boottime_ns()) < end_ns:
        if not file.is_held():
            return
        if warn_ns is not None and now_ns >= warn_ns:
            warn_ns = None
            tell(warning((end_ns - now_ns) / 1e9))
        # In short steps: a sleep does not count suspended time, and a released lease makes no
        # event.
        time.sleep(min(_LOOK, max(0.0, ((warn_ns or end_ns) - now_ns) / 1e9)))
    if not file.is_held():
        return
    tell(OVER)
    patience = time.monotonic() + 2 * grace
    ending.end(
        lambda number: _signal(file, number, spared, to_all=number is signal.SIGKILL),
        lambda: _lives_on(file, spared, patience),
        grace=grace,
    )
    if spared is not None:
        file.remove()


def _lives_on(file: LeaseFile, spared: Optional[_Spared], patience: float) -> bool:
    """Whether processes other than the spared one hold the lease.

    The spared one counts, too, for a while, during which it ends its command.
    """
    if not file.is_held():
        return False
    if spared is None or (spared.supervises_now() and time.monotonic() < patience):
        return True
    return any(not spared.is_one(pid) for pid in file.holders())


def _signal(
    file: LeaseFile, number: signal.Signals, spared: Optional[_Spared], *, to_all: bool
) -> None:
    """Signal the holders of the lease. to_all: also those that their parent is ending."""
    supervised = spared is not None and not to_all and spared.supervises_now()
    for pid in file.holders():
        if spared is not None and (spared.is_one(pid) or (supervised and spared.ends_itself(pid))):
            continue
        file.signal(pid, number)


def _tell(terminal: Optional[str], line: str) -> None:
    if terminal is None:
        return
    with contextlib.suppress(OSError):
        flags = os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(terminal, flags)
        try:
            os.write(descriptor, f"\r\n{line}\r\n".encode())
        finally:
            os.close(descriptor)
