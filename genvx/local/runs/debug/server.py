"""The process behind a debug port: it starts an sshd for each connection, and ends them all.

It has the listening socket itself, so no sshd listens, and the port is closed when this process
ends, however it ends. It is not below the supervisor, which ends everything below it before a run
ends. All processes of the connections are below this one, because it is a subreaper.

It ends when its end of a pipe to the supervisor says so, or is closed because that was killed.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Optional

from genvx.errors import GenvxError
from genvx.local import processes
from genvx.local.runs import tree
from genvx.local.runs.debug import FAILED, OPENED, SHUT, settings
from genvx.local.runs.wakeups import Wakeups

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

# The most connections that have not logged in. At one more, the oldest from the address with the
# most of them is ended, so an address that makes many of them only hinders itself.
MOST_NEWCOMERS = 40
MOST_CONNECTIONS = 100
# What sshd says of a connection that has logged in.
_LOGGED_IN = b"Accepted publickey for "
# Seconds at the end: between SIGTERM and SIGKILL, and until processes that do not end are left.
_GRACE = 1.0
_GIVE_UP = 10.0
_LOOK = 0.05
_PR_SET_PDEATHSIG = 1
_RESET = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGPIPE,
    signal.SIGXFSZ,
)


class _Connection:
    """A connection. pid: of its sshd. log: a pipe with the messages of that sshd; -1 at its end."""

    def __init__(self, pid: int, log: int, source: str) -> None:
        self.pid = pid
        self.log = log
        self.source = source
        self.logged_in = False


class DebugServer:
    """Serves a debug port.

    control: the pipe from the supervisor. answer: the pipe to it. sshd: the path of the program.
    directory: of the run. keys: the public keys that may log in.
    """

    def __init__(
        self,
        listener: socket.socket,
        control: int,
        answer: int,
        sshd: str,
        directory: str,
        keys: Sequence[str],
    ) -> None:
        self._listener: Optional[socket.socket] = listener
        self._control = control
        self._answer = answer
        self._sshd = sshd
        self._directory = directory
        self._keys = keys
        self._settings = ""
        self._connections: list[_Connection] = []
        self._libc = ctypes.CDLL(None)
        self._pid = os.getpid()

    def serve(self) -> None:
        """Say whether the port is open, and serve connections until the end. Then end them, and
        delete the files of the port.
        """
        processes.call_ourselves("genvx-debugport")
        tree.become_subreaper()
        self._wakeups = Wakeups()
        self._wakeups.watch(self._control)
        try:
            if self._open():
                self._until_the_end()
        finally:
            self._shut()
            self._end_all()
            settings.forget(self._directory)

    def _open(self) -> bool:
        try:
            self._settings, host_key = settings.make(self._sshd, self._directory, self._keys)
            said = OPENED + host_key.encode()
        except (GenvxError, OSError) as error:
            said = FAILED + str(error).encode()
        with suppress(BrokenPipeError):  # the supervisor was killed meanwhile
            os.write(self._answer, said + b"\n")
        return bool(self._settings)

    def _until_the_end(self) -> None:
        if self._listener is not None:
            self._listener.setblocking(False)
            self._wakeups.watch(self._listener.fileno())
        while True:
            woken = self._wakeups.wait(float(1 << 20))
            if woken.sender is not None:  # SIGTERM, which only a person sends
                return
            if self._control in woken.readable:
                if os.read(self._control, 1) != SHUT:
                    return
                self._shut()
            for each in [each for each in self._connections if each.log in woken.readable]:
                self._hear(each)
            self._reap()
            listener = self._listener
            if listener is not None and listener.fileno() in woken.readable:
                self._let_in(listener)

    def _shut(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(KeyError):
                self._wakeups.forget(listener.fileno())
            listener.close()

    def _let_in(self, listener: socket.socket) -> None:
        try:
            connection, address = listener.accept()
        except OSError:
            time.sleep(_LOOK)  # it is gone already, or we have no descriptor left for it
            return
        with connection:
            source = str(address[0])
            newcomers = [each for each in self._connections if not each.logged_in]
            if len(self._connections) - len(newcomers) >= MOST_CONNECTIONS:
                return
            if len(newcomers) >= MOST_NEWCOMERS:
                sources = [each.source for each in newcomers]
                most = max(sources, key=sources.count)
                self._drop(next(each for each in newcomers if each.source == most))
            try:
                connection.setblocking(True)
                self._start(connection, source)
            except OSError:
                time.sleep(_LOOK)  # too many processes or descriptors: that connection is closed

    def _start(self, connection: socket.socket, source: str) -> None:
        read, write = os.pipe()
        try:
            pid = os.fork()
            if pid == 0:
                self._become_sshd(connection.fileno(), write)
        except OSError:
            os.close(read)
            raise
        finally:
            os.close(write)
        os.set_blocking(read, False)
        self._connections.append(_Connection(pid, read, source))
        self._wakeups.watch(read)

    def _become_sshd(self, connection: int, log: int) -> None:
        try:
            # If we are killed, no connection outlives us: at SIGTERM sshd ends its session.
            self._libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
            if os.getppid() != self._pid:
                return
            os.setsid()
            for number, each in enumerate((connection, connection, log)):
                os.dup2(each, number)
            for each in _RESET:
                signal.signal(each, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            # Its variables are those of the sessions, as far as it passes them on: none of ours.
            variables = {"PATH": os.environ.get("PATH", os.defpath)}
            os.execve(self._sshd, [self._sshd, "-i", "-e", "-f", self._settings], variables)
        finally:
            os._exit(127)

    def _hear(self, connection: _Connection) -> None:
        try:
            said = os.read(connection.log, 65536)
        except OSError:
            return
        if not said:
            self._forget(connection)
        elif any(line.startswith(_LOGGED_IN) for line in said.splitlines()):
            connection.logged_in = True

    def _forget(self, connection: _Connection) -> None:
        log, connection.log = connection.log, -1
        if log >= 0:
            self._wakeups.forget(log)
            os.close(log)

    def _drop(self, connection: _Connection) -> None:
        # It is our child and was not waited for, so the pid is its own.
        os.kill(connection.pid, signal.SIGKILL)
        self._forget(connection)
        self._connections.remove(connection)

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while pid := os.waitpid(-1, os.WNOHANG)[0]:
                for each in [each for each in self._connections if each.pid == pid]:
                    self._forget(each)
                    self._connections.remove(each)

    def _end_all(self) -> None:
        """End all processes of the connections. One that belongs to another user by now (sudo) may
        stay; it holds the lease itself, so its devices are not given away.
        """
        for each in self._connections:
            self._forget(each)
        began = time.monotonic()
        tree.signal_below(self._pid, signal.SIGTERM)
        tree.signal_below(self._pid, signal.SIGCONT)
        while not tree.is_empty() and time.monotonic() < began + _GIVE_UP:
            if time.monotonic() >= began + _GRACE:
                tree.signal_below(self._pid, signal.SIGKILL)
            time.sleep(_LOOK)
            self._reap()
