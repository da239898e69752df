"""RemoteHold: devices of a host that are held through a connection to it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Protocol

from genvx.core.ask import Join
from genvx.core.command import words_of
from genvx.core.hold import BaseHold
from genvx.core.text import printable
from genvx.core.wire.operations import Job, NeverRan
from genvx.errors import HostUnreachable
from genvx.fleet.started import RemoteRunning
from genvx.ssh.channels import close_channel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from genvx.core.ask import Wanted
    from genvx.core.command import Command, Stream
    from genvx.core.grant import Grant
    from genvx.core.wire.operations import Progress
    from genvx.errors import HostLost
    from genvx.fleet.remote import RemoteCommand

    Started = RemoteCommand[Progress]

_CHUNK = 65536


class Caller(Protocol):
    """The host that a hold calls: an SSHHost.

    patience: seconds that an answer may take.
    """

    name: str

    @property
    def patience(self) -> float: ...

    def start(self, wanted: Wanted, job: Job) -> Started:
        """Start a command there."""

    def signal(self, grant: Grant, name: str) -> None:
        """Send a signal to a command there."""


class RemoteHold(BaseHold):
    """Devices of a host that we hold through a connection: until `release`, the end of the
    block, or our death.
    """

    def __init__(self, host: Caller, command: Started) -> None:
        self.host: Any = host
        self._command: Started | None = command
        self.token = command.token
        self.grant = command.grant()

    def start(
        self,
        command: Command,
        *,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> RemoteRunning:
        """Start a command there as `BaseHold.start` says. cwd: there; the home by default."""
        words = words_of(command)
        job = Job(tuple(words), dict(env or {}), cwd)
        started = self.host.start(Join(self.environment_id, " ".join(words)), job)
        return RemoteRunning(
            self.host.signal, started, words, stdin=stdin, stdout=stdout, stderr=stderr
        )

    # Handing over to a shell that joins

    def expect_shell(self) -> None:
        """A shell is to join, called with our `token`; the far end tells once, and then lets go.

        Raises:
            HostUnreachable: the connection is gone, and so is the hold.
        """
        self._living().expect_shell()

    def expect_nobody(self) -> None:
        """No shell joins any more; the far end tells at once, if it had not yet."""
        with contextlib.suppress(EOFError, OSError):
            self._living().channel.shutdown_write()

    def next_word(self, timeout: float, over: Callable[[], bool]) -> bool:
        """Wait for what the far end tells of the shell; see `RemoteCommand.next_reply`."""
        return self._living().next_reply(timeout, over)

    def unjoined(self) -> str | None:
        """None if the far end has said that a shell joined; else the start-up file that its host's
        shell reads first, empty where that is not known.
        """
        last = self._living().last
        return last.start_up if isinstance(last, NeverRan) else None

    def _living(self) -> Started:
        if self._command is None:
            raise HostUnreachable("the devices were given back", kind="network")
        return self._command

    def on_loss(self, call: Callable[[HostLost], object]) -> None:
        """Have `call` called, in another thread, if the host of the devices is lost."""
        if self._command is not None:
            self._command.on_loss(call)

    def release(self) -> None:
        """Give the devices back, and wait until the far end has done so."""
        command, self._command = self._command, None
        if command is None:
            return
        try:
            command.channel.shutdown_write()
            command.channel.settimeout(self.host.patience)
            while command.channel.recv(_CHUNK):
                pass
        except (EOFError, OSError):
            pass  # the connection is gone, and the far end let go when it was
        finally:
            close_channel(command.channel)

    def __repr__(self) -> str:
        return f"<RemoteHold {printable(self.grant.environment)} on {self.host.name}>"
