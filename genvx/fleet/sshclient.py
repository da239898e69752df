"""OpenSSH's client, as a process that ends with us."""

from __future__ import annotations

import os
import signal
import sys
import threading

# Becomes ssh, with a signal for the death of its parent: when genvx is killed, ssh must end, or the
# shell would keep its devices. PR_SET_PDEATHSIG (1) survives execve. It must be set in the child,
# and a fork of a process with threads must not run Python, so this is a program of its own. Its
# parent may have died before the prctl: hence the check afterwards.
_HANG_UP_WITH_US = """\
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGHUP)
for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
    signal.signal(number, signal.SIG_DFL)
if os.getppid() != int(sys.argv[1]):
    sys.exit(129)
os.execvp(sys.argv[2], sys.argv[2:])
"""


class SSHClient:
    """OpenSSH's client, as a process."""

    def __init__(self, command: list[str]) -> None:
        self._pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", "-c", _HANG_UP_WITH_US, str(os.getpid()), *command],
            os.environ,
        )
        self._lock = threading.Lock()
        self._ended = False
        self.interrupted = False

    def end(self) -> None:
        """End the client, from another thread; it restores the terminal by itself."""
        with self._lock:
            # A stopped process handles SIGTERM only once it continues.
            if not self._ended:
                os.kill(self._pid, signal.SIGTERM)
                os.kill(self._pid, signal.SIGCONT)

    def wait(self) -> int:
        """Wait for its end; return its exit code."""
        while True:
            try:
                os.waitid(os.P_PID, self._pid, os.WEXITED | os.WSTOPPED | os.WNOWAIT)
            except KeyboardInterrupt:
                # Ctrl-C before the terminal is raw: ssh gets it as well, and ends.
                self.interrupted = True
                continue
            with self._lock:
                # WNOWAIT above left it a zombie, so until this line no other process can have its
                # pid, and `end` cannot hit a stranger.
                _, status = os.waitpid(self._pid, os.WUNTRACED)
                self._ended = not os.WIFSTOPPED(status)
            if not self._ended:
                # ~^Z in ssh stops ssh alone. The shell that waits for us must see that we stop, or
                # it would not show its prompt.
                os.kill(os.getpid(), signal.SIGSTOP)
                os.kill(self._pid, signal.SIGCONT)
                continue
            if os.WIFSIGNALED(status):
                return 128 + os.WTERMSIG(status)
            return os.WEXITSTATUS(status)
