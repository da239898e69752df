"""RemoteHold holds devices of another host through a connection to it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Protocol

from genvx.core.command import words_of
from genvx.core.leases.hold import BaseHold
from genvx.core.leases.starter import Starter
from genvx.core.requests.ask import Join
from genvx.core.text import printable
from genvx.core.wire.job import Job
from genvx.core.wire.progress import NeverRan
from genvx.errors import HostUnreachable, Unsatisfiable
from genvx.fleet.started import RemoteRunning
from genvx.ssh.ending import close_channel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from genvx.core.command import Command
    from genvx.core.leases.grant import Grant
    from genvx.core.requests.ask import Wanted
    from genvx.core.running import Stream
    from genvx.core.runs.container import Container
    from genvx.core.wire.progress import Progress
    from genvx.errors import HostLost
    from genvx.fleet.remote import RemoteCommand

    Started = RemoteCommand[Progress]

_CHUNK = 65536


class Caller(Protocol):
    """Caller is what a hold needs of its host: an SSHHost."""

    name: str

    @property
    def patience(self) -> float:
        """Seconds that an answer may take."""

    def start(self, wanted: Wanted, job: Job) -> Started:
        """Start a command on the host."""

    def signal(self, grant: Grant, name: str) -> None:
        """Send a signal, named without SIG, to the command of a grant."""


class RemoteHold(BaseHold):
    """RemoteHold holds devices of a host until `release`, the end of its block, or of the process.

    The far end holds the lease and releases it when our channel closes, whatever the reason.
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
        """Start a command on the host, as `BaseHold.start` does.

        cwd: a directory on the host; the home directory by default.
        """
        words = words_of(command)
        job = Job(tuple(words), dict(env or {}), cwd)
        return _started(self.host, self.environment_id, job, stdin, stdout, stderr)

    # Handing over to a shell that joins

    def expect_shell(self) -> None:
        """Announce a shell that joins, called with our `token`.

        The far end reports once whether it joined, and then releases its own hold.

        Raises:
            HostUnreachable: the connection is gone, and so is the hold.
        """
        self._living().expect_shell()

    def expect_nobody(self) -> None:
        """Announce that no shell joins any more; the far end reports at once, if it had not yet."""
        # The end of its stdin makes the far end give its last report and release.
        with contextlib.suppress(EOFError, OSError):
            self._living().channel.shutdown_write()

    def next_word(self, timeout: float, over: Callable[[], bool]) -> bool:
        """Wait for the report of the far end; see `RemoteCommand.next_reply`."""
        return self._living().next_reply(timeout, over)

    def unjoined(self) -> str | None:
        """Return None if a shell joined; otherwise the start-up file that the login shell of the
        host reads first, empty if that is not known.
        """
        last = self._living().last
        return last.start_up if isinstance(last, NeverRan) else None

    def _living(self) -> Started:
        if self._command is None:
            raise HostUnreachable("the devices were released", kind="network")
        return self._command

    def on_loss(self, call: Callable[[HostLost], object]) -> None:
        """Call `call`, in another thread, if the host of the devices is lost."""
        if self._command is not None:
            self._command.on_loss(call)

    def release(self) -> None:
        """Release the devices, and wait until the far end has done so; further calls do nothing."""
        command, self._command = self._command, None
        if command is None:
            return
        try:
            # The end of its stdin makes the far end release. Its output ends when it has: closing
            # the channel at once would leave the devices taken for a moment after we return.
            command.channel.shutdown_write()
            command.channel.settimeout(self.host.patience)
            while command.channel.recv(_CHUNK):
                pass
        except (EOFError, OSError):
            pass  # the connection is gone, and with it the hold of the far end
        finally:
            close_channel(command.channel)

    def __repr__(self) -> str:
        return f"<RemoteHold {printable(self.grant.environment_id)} on {self.host.name}>"


class RemoteEntry(Starter):
    """RemoteEntry starts commands inside of a run of a host; each joins its environment by itself.

    The host says then whether the run can be entered, and puts the run's variables in there.
    """

    def __init__(self, host: Caller, run: str) -> None:
        """run: its id."""
        self._host = host
        self._run = run

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
        """Start a command inside of the run; cwd: counted from the run's directory."""
        job = Job(tuple(words_of(command)), dict(env or {}), cwd, in_run=True)
        return _started(self._host, self._run, job, stdin, stdout, stderr)

    def release(self) -> None:
        """Do nothing: only what was started is in the run."""


class RemoteBox(Starter):
    """RemoteBox starts commands in containers on a host, under a hold of an environment there."""

    def __init__(self, host: Caller, environment: str, container: Container) -> None:
        self._host, self._environment, self._container = host, environment, container

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
        """Start a command in a container of its own; cwd: counted from the home there.

        Raises:
            Unsatisfiable: the host has no runtime, or none that answers.
        """
        job = Job(tuple(words_of(command)), dict(env or {}), cwd, container=self._container)
        try:
            return _started(self._host, self._environment, job, stdin, stdout, stderr)
        except Unsatisfiable as error:
            raise Unsatisfiable(f"{self._host.name}: {error}") from None

    def release(self) -> None:
        """Do nothing: what holds the devices is another."""


def _started(
    host: Caller, environment: str, job: Job, stdin: Stream, stdout: Stream, stderr: Stream
) -> RemoteRunning:
    words = list(job.argv or ())
    started = host.start(Join(environment, printable(" ".join(words))), job)
    return RemoteRunning(host.signal, started, words, stdin=stdin, stdout=stdout, stderr=stderr)
