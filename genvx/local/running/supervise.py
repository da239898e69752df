"""Runs a command that holds a lease, as its parent: signals are passed on, the exit code returned.

Signals are blocked and waited for instead of handled, so that none is lost between two checks. A
signal of the terminal reaches the command by itself, because it is in the terminal's process group;
only signals that other processes sent to us are passed on. The exception is a terminal that hangs
up: the kernel then signals only the leader of the session, which we are if sshd has started us.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
from typing import TYPE_CHECKING, Optional

from genvx.core import escalation
from genvx.local.processes import boottime_ns
from genvx.local.running.agenda import Agenda, end_by, end_in_time, send
from genvx.local.running.execute import NOT_EXECUTABLE, PASSED_ON, execute

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from genvx.local.running.agenda import Deliver

_SI_USER = (
    0  # si_code of kill(2); the kernel's own signals, such as a terminal's, have a positive one
)


class Client:
    """What a command is a client of, when it stands for another one that is not below it.

    lease_as: a number that the lease has in the client, too; None for no other one.
    """

    lease_as: Optional[int] = None

    def deliver(self, pid: int, number: signal.Signals) -> None:
        """Send a signal to the other command. pid: of the client, which was not collected yet."""
        raise NotImplementedError

    def ended(self, code: int) -> bool:
        """End what the client has left behind, while the lease is still held; return whether
        nothing can use the devices any more. code: with which the client has ended.
        """
        raise NotImplementedError


def run(
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    lease: int,
    client: Optional[Client] = None,
    stdout: int = 1,
    cwd: Optional[str] = None,
    watch_client: bool = False,
    own_group: bool = False,
    die_with_us: bool = False,
    program: Optional[str] = None,
    end_ns: Optional[int] = None,
    grace: float = escalation.GRACE,
) -> int:
    """Run a command that inherits the descriptor `lease`; return its exit code, or 128 + its
    signal.

    client: what the command is a client of, if it is one.
    cwd: the directory that it starts in; ours by default.
    watch_client: whether to end the command's process group when nobody reads `stdout` any more:
        without a terminal, sshd sends no signal when its client is gone.
    own_group: whether the command gets a process group, which signals are then sent to.
    die_with_us: whether the command gets SIGHUP if this process is killed; for shells that close
        the lease that they inherit.
    end_ns: time of CLOCK_BOOTTIME at which the command is ended, after a warning.
    grace: seconds between SIGHUP, SIGTERM and SIGKILL, at its end and when its client is gone.
    Must be called from the main thread.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    # Before the fork: a signal that comes in between waits, and is passed on to the command.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {*PASSED_ON, signal.SIGCHLD})
    try:
        # Not subprocess: the child has to become the leader of its group, ask for SIGHUP on our
        # death and undo our signal mask, in this order, before exec.
        us = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                if own_group:
                    os.setpgid(0, 0)
                if die_with_us:
                    _die_with_parent(us)
                if stdout != 1:
                    os.dup2(stdout, 1)
                if cwd is not None:
                    os.chdir(cwd)
                os.set_inheritable(lease, True)
                # Last: what had this number before is of no use to the command.
                if client is not None and client.lease_as not in (None, lease):
                    os.dup2(lease, client.lease_as)
                execute(argv, environment, program)
            finally:
                os._exit(NOT_EXECUTABLE)
        if own_group:
            with contextlib.suppress(OSError):
                os.setpgid(pid, pid)  # so does the child: whichever comes first
        if watch_client:
            threading.Thread(target=_hang_up_when_unread, args=(stdout,), daemon=True).start()
        target = -pid if own_group else pid

        def deliver(number: signal.Signals) -> None:
            if client is None:
                send(target, number)
            else:
                client.deliver(pid, number)

        with contextlib.closing(Agenda(grace)) as agenda:
            return _wait(pid, deliver, watch_client, end_ns, agenda)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _wait(
    pid: int, deliver: Deliver, watch_client: bool, end_ns: Optional[int], agenda: Agenda
) -> int:
    ignored = {n for n in PASSED_ON if signal.getsignal(n) is signal.SIG_IGN}
    if end_ns is not None:
        end_in_time(agenda, deliver, end_ns)
    hung_up = False
    while True:
        agenda.do_what_is_due()
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            if os.WIFSIGNALED(status):
                return 128 + os.WTERMSIG(status)
            return os.WEXITSTATUS(status)
        received = signal.sigwaitinfo({*PASSED_ON, signal.SIGCHLD})
        number = signal.Signals(received.si_signo)
        if number is signal.SIGCHLD or number in ignored:
            continue
        ours_alone = number is signal.SIGHUP and os.getsid(0) == os.getpid()
        # It came from the terminal, and the command has got it itself: passing it on would make it
        # two.
        if received.si_code > _SI_USER and not ours_alone:
            continue
        deliver(number)
        # The client is gone, so nobody can end a command that ignores the hang-up.
        if watch_client and number is signal.SIGHUP and not hung_up:
            hung_up = True
            end_by(agenda, deliver, boottime_ns(), escalation.after_hangup(agenda.grace))


def _hang_up_when_unread(stdout: int) -> None:
    poll = select.poll()
    poll.register(stdout, 0)  # errors and hang-ups are reported unasked
    poll.poll()
    os.kill(os.getpid(), signal.SIGHUP)


def _die_with_parent(parent: int) -> None:
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGHUP)  # PR_SET_PDEATHSIG
    # The parent may have died before prctl, which then reports nothing: our parent has changed. It
    # may have died before all of this, so its pid is known from before the fork.
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGHUP)
