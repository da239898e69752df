"""The debug port of a run, on the side of its supervisor: it opens the port before the command
starts, and ends it before it gives the devices back.
"""

from __future__ import annotations

import errno
import os
import select
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Optional

from genvx.core.runs.debugport import EVERYWHERE, OpenPort
from genvx.core.runs.runstate import Failed, Step
from genvx.core.text import printable
from genvx.errors import GenvxError, InvalidInput, StateError
from genvx.local import facts, processes
from genvx.local.running import sshd
from genvx.local.running.apart import apart
from genvx.local.runs.clock import now
from genvx.local.runs.debug import OPENED, SHUT

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from typing import Callable

    from genvx.core.runs.debugport import DebugPort
    from genvx.core.runs.run import RunSpec
    from genvx.local.machine import Machine
    from genvx.local.runs.record import RunDirectory

_BACKLOG = 64
# Seconds that we wait for the end of the server. It needs fewer, unless a process cannot be ended.
_PATIENCE = 20.0
# Seconds in which it must say whether the port is open: it makes a host key. Clients wait longer.
_ANSWER = 45.0


def require(host: Machine) -> str:
    """Check that a run may have a debug port here; return the path of sshd.

    Raises:
        InvalidInput: the policy forbids it. CommandNotFound: there is no OpenSSH. StateError: the
        policy cannot be read.
    """
    rules = host.rules()
    if rules is not None:
        rules.refuse_debug_port()
    return sshd.find(host.environ, "a debug port")


class Port:
    """The debug port of a run; without effect for a run that has none.

    say: takes lines for the log of the run.
    """

    def __init__(
        self, host: Machine, spec: RunSpec, directory: RunDirectory, say: Callable[[str], None]
    ) -> None:
        self._host = host
        self._run = spec.id
        self._asked = spec.debug_port
        self._directory = directory
        self._say = say
        self._control = self._ended = -1
        self._is_shut = False

    def open(self, *, refuse: bool) -> Optional[Failed]:
        """Open the port and say so in the log; return how the run ends if that is impossible.

        To be called before this process becomes a subreaper: the server must not come below it.

        refuse: raise instead, because the run is not accepted yet.

        Raises:
            GenvxError: the port cannot be opened, and `refuse` is true.
        """
        if self._asked is None:
            return None
        try:
            found = self._open(self._asked)
        except GenvxError as error:
            self._say(str(error))
            if refuse:
                raise
            return Failed(now(), step=Step.START, why=printable(str(error), 500))
        self._say("the debug port is open; with the private key, this leads into the run:")
        self._say(found.line(self._run))
        key = found.server_key
        self._say(f"fingerprint of its host key: {key.fingerprint} ({key.family})")
        return None

    def shut(self) -> None:
        """Accept no more connections; open ones stay. A second call does nothing."""
        if self._control >= 0 and not self._is_shut:
            self._is_shut = True
            with suppress(BrokenPipeError):  # the server was killed, and the port is closed
                os.write(self._control, SHUT)

    def end(self) -> None:
        """End the port and all of its connections. A second call does nothing."""
        control, ended = self._control, self._ended
        self._control = self._ended = -1
        if control >= 0:
            from genvx.local.runs.debug import settings

            os.close(control)
            _read(ended, _PATIENCE)
            os.close(ended)
            settings.forget(self._directory.path)  # also where the server was killed

    def _open(self, asked: DebugPort) -> OpenPort:
        program = require(self._host)
        user = processes.owner_of(os.geteuid()).name
        with _listen(asked) as listener:
            self._start(listener, program, asked.keys)
            try:
                said = _read(self._ended, _ANSWER)
                if not said.startswith(OPENED):
                    why = said[1:].decode("utf-8", "replace").strip() or "its server has ended"
                    raise StateError(f"cannot open the debug port: {printable(why, 300)}")
                address = asked.address or facts.hostname()
                if asked.bind not in EVERYWHERE:
                    address = asked.bind
                port = listener.getsockname()[1]
                found = OpenPort(user, address, port, said[1:].decode("ascii").strip())
                self._directory.write_open_port(found)
            except BaseException:
                self.end()
                raise
        return found

    def _start(self, listener: socket.socket, program: str, keys: Sequence[str]) -> None:
        # Imported here: few runs have a debug port.
        import socket

        from genvx.local.runs.debug.server import DebugServer

        theirs, self._control = _pipe()
        self._ended, answer = _pipe()
        ours, directory = listener.fileno(), self._directory.path

        def serve() -> None:
            again = socket.socket(fileno=ours)
            DebugServer(again, theirs, answer, program, directory, keys).serve()

        try:
            apart(serve, keep=(ours, theirs, answer))
        except OSError as error:
            raise StateError(f"cannot open the debug port: {error.strerror}") from None
        finally:
            os.close(theirs)
            os.close(answer)


def _pipe() -> tuple[int, int]:
    try:
        return os.pipe()
    except OSError as error:
        raise StateError(f"cannot open the debug port: {error.strerror}") from None


def _read(descriptor: int, seconds: float) -> bytes:
    """Read a line from the server; a part of it if the server ends or the time is over."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    end = time.monotonic() + seconds
    data = b""
    while not data.endswith(b"\n") and poll.poll(max(0, round((end - time.monotonic()) * 1000))):
        part = os.read(descriptor, 65536)
        if not part:
            break
        data += part
    return data


def _listen(asked: DebugPort) -> socket.socket:
    """A socket that listens. Raises InvalidInput if it cannot."""
    import socket

    # One socket for both families, where the kernel has both: a client takes whichever it finds.
    everywhere = asked.bind in ("", "::")
    both = everywhere and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both or ":" in asked.bind else socket.AF_INET
    address = "" if everywhere else asked.bind
    try:
        return socket.create_server(
            (address, asked.port), family=family, backlog=_BACKLOG, dualstack_ipv6=both
        )
    except OSError as error:
        port = f"port {asked.port}" if asked.port else "a port"
        why = {
            errno.EADDRINUSE: f"{port} is busy; choose another one, or leave --debug-port out",
            errno.EACCES: f"only root may open {port} here; choose one from 1024 on",
            errno.EADDRNOTAVAIL: f"{asked.bind} is no address of this host",
        }.get(error.errno or 0, error.strerror)
        raise InvalidInput(f"cannot open the debug port: {why}") from None
