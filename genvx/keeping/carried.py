"""The side of a command that a carrier carries: a remote command whose streams go through pipes.

What happens before the host is called may be left to the command itself, and nothing of it is an
error here. From then on there is one connection, as if it were ours, and its end is reported.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any

from genvx.core.wire.asking import call_of, reply_form
from genvx.core.wire.ongoing import Run
from genvx.core.wire.reply import Reply
from genvx.errors import HostLost
from genvx.fleet.remote import RemoteCommand
from genvx.fleet.replies import read_reply
from genvx.keeping import asking
from genvx.keeping.frames import Broken, Frames

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from genvx.core.leases.grant import Grant
    from genvx.core.requests.ask import Wanted
    from genvx.core.wire.job import Job
    from genvx.fleet.hosts.hostspec import HostSpec

# A carrier says twice a second that it lives.
_SILENCE = 3.0
# Seconds beyond the timeout in which it says that the host did not reply.
_GRACE = 4.0


def start(
    environ: Mapping[str, str],
    spec: HostSpec,
    wanted: Wanted,
    job: Job,
    *,
    config: str | None,
    timeout: float,
    host_lost_after: float,
    idle: float,
) -> Carried | None:
    """Start a command through a carrier, as a host does; None if there is none for it, and nothing
    has happened.

    Raises:
        GenvxError: the error that the host replied. HostLost: the connection ended when the host
        may have started the command.
    """
    try:
        frames = asking.reach(environ)
    except (Broken, asking.Missing):
        return None
    asked = {
        "carry": {field: getattr(spec, field) for field in asking.FIELDS},
        "config": config,
        "timeout": timeout,
        "host_lost_after": host_lost_after,
        "idle": idle,
    }
    pipes: list[int] = []
    try:
        if not _ready(frames, asked, time.monotonic() + timeout + _GRACE):
            return None
        for _ in range(3):
            pipes += os.pipe()
        # Of the pipe for stdin the carrier reads, of the others it writes.
        its, ours = [pipes[0], pipes[3], pipes[5]], [pipes[1], pipes[2], pipes[4]]
        operation = Run(wanted, job)
        call = call_of(operation, "")
        try:
            frames.send({"call": [call.operation, call.arguments]}, _SILENCE, its)
        except Broken:
            return None  # it has not got all of it
        for descriptor in its:
            os.close(descriptor)
        pipes = ours
        form = reply_form(operation)
        channel = _Channel(frames, *ours)
        reply = channel.reply(spec.name, timeout * 2 + _GRACE)
        progress = read_reply(form, reply.result())
        started = Carried(channel, "", form, progress, channel.pulse(spec.name), b"")
        frames, pipes = None, []  # type: ignore[assignment]  # they are the channel's now
        return started
    except Broken:
        return None
    finally:
        for descriptor in pipes:
            os.close(descriptor)
        if frames is not None:
            frames.close()


def _ready(frames: Frames, asked: Any, end: float) -> bool:
    """Ask for a carrier; return whether there is one, with an agent of the host that waits."""
    frames.send(asked, _SILENCE)
    while time.monotonic() < end:
        said = frames.receive(_SILENCE)
        if said == {"beat": True}:
            continue
        return bool(said == {"ready": True})
    return False


class Carried(RemoteCommand[Any]):
    """Carried is a remote command that a carrier carries."""

    def signal(self, grant: Grant, name: str) -> None:
        """Send a signal, named without SIG, to the command of a grant."""
        self.channel.signal(grant, name)


class _Pulse:
    """What is known of the connection of a carrier, which watches it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lost: HostLost | None = None
        self.listeners: list[Callable[[HostLost], object]] = []


class _Channel:
    """A channel that is at the other ends of pipes."""

    def __init__(self, frames: Frames, stdin: int, stdout: int, stderr: int) -> None:
        self._frames = frames
        self._stdin, self._stdout, self._stderr = stdin, stdout, stderr
        self._lock = threading.Lock()
        self._code: int | None = None
        self._pulse: _Pulse | None = None

    def pulse(self, name: str) -> Any:
        """What a remote command knows of its connection."""
        self._pulse = _Pulse(name)
        return self._pulse

    def reply(self, name: str, seconds: float) -> Reply:
        """Return what the host replies.

        Raises:
            HostLost: the connection ended before that.
        """
        may = "the command may have been started there"
        try:
            said = self._frames.receive(seconds)
        except Broken:
            raise HostLost(f"the connection to {name} ended before it replied; {may}") from None
        if "lost" in said:
            raise HostLost(f"{said['lost']}; {may}")
        value, error, message = said["reply"]
        return Reply(value=value, error=error, message=str(message))

    def signal(self, grant: Grant, name: str) -> None:
        """Send a signal to the command of a grant."""
        with self._lock:
            try:
                self._frames.send({"signal": [grant.environment_id, name, grant.lease]}, _SILENCE)
            except Broken:
                pass  # it has ended

    # What a remote command does with a channel

    def settimeout(self, seconds: float | None) -> None:
        """Pipes have none."""

    def recv(self, size: int) -> bytes:
        """Read output."""
        return os.read(self._stdout, size)

    def recv_stderr(self, size: int) -> bytes:
        """Read errors."""
        return os.read(self._stderr, size)

    def sendall(self, data: bytes) -> None:
        """Write input."""
        while data:
            data = data[os.write(self._stdin, data) :]

    def shutdown_write(self) -> None:
        """End the input."""
        with self._lock:
            stdin, self._stdin = self._stdin, -1
            if stdin >= 0:
                os.close(stdin)

    def exit_status_ready(self) -> bool:
        """Whether the command has ended."""
        return self._code is not None

    def recv_exit_status(self) -> int:
        """Return the exit code; negative if the connection has ended without one."""
        if self._code is None:
            try:
                said = self._frames.receive(_GRACE)
            except Broken:
                said = {}
            if "lost" in said and self._pulse is not None:
                self._pulse.lost = HostLost(str(said["lost"]))
            self._code = int(said.get("exit", -1))
        return self._code

    def close(self) -> None:
        """Close all; a command that still runs is ended by its host."""
        self._frames.close()
