"""The keeper's side of a host: its connection, and the agents that stay there."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import paramiko

from genvx.core.wire.call import Call
from genvx.core.wire.ongoing import Stay
from genvx.core.wire.plain import dumps
from genvx.core.wire.replyreader import ReplyReader
from genvx.errors import GenvxError, HostError, HostUnreachable
from genvx.fleet.caller import Caller
from genvx.fleet.delivery.bootstrap import SILENT
from genvx.fleet.remote import new_token
from genvx.ssh.config.target import Target
from genvx.ssh.connections import Connections
from genvx.ssh.deadline import Deadline
from genvx.ssh.ending import close_channel

if TYPE_CHECKING:
    from genvx.core.wire.reply import Reply
    from genvx.fleet.hosts.hostspec import HostSpec
    from genvx.fleet.remote import RemoteCommand
    from genvx.keeping.files import Files
    from genvx.ssh.session import Session

# A host that has not replied after the first of these seconds is asked for a sign of life, and has
# the second for it. Its answer may take longer; a connection that is dead never gives one.
_PATIENCE = 1.0
_SIGN = 1.5
# With so few seconds left, no time is left.
_NEARLY = 0.05
# Agents that stay on one host, and answers that are remembered of it.
_MOST_AGENTS = 2
_MOST_SEEN = 4
# An agent stays a little longer than the keeper wants it.
_LATER = 60.0
_MOST_HOPS = 8
# Seconds for which a host that only the command can ask is left to it. Each try would be a failed
# login there, and hosts lock out who has too many.
_LEFT = 300.0


class Gone(Exception):
    """Gone: an agent that stayed is gone, or its connection is."""


class Agent:
    """Agent is an agent that stays on a host, at the far end of a channel.

    rest: what came behind the reply to the last call.
    """

    def __init__(self, command: RemoteCommand[None]) -> None:
        self.channel = command.channel
        self.pulse = command.pulse
        self.rest = b""
        # A channel that waits for a person is not asked for signs of life all the time.
        self.pulse.stop()

    def close(self) -> None:
        """End it."""
        close_channel(self.channel)

    def ask(self, operation: str, arguments: dict[str, Any], seconds: float) -> Reply:
        """Ask it something.

        Raises:
            Gone: there is no reply because it is gone. TimeoutError: it does not reply in time.
            ProtocolError: what it replies makes no sense.
        """
        call = Call(operation, new_token(), arguments)
        reader = ReplyReader(call.token)
        with Deadline(seconds) as deadline:
            # Closing wakes a thread that sends to a connection which takes nothing any more.
            deadline.closes(self.close)
            try:
                self.channel.settimeout(min(_PATIENCE, seconds))
                self.channel.sendall(call.to_bytes())
                reply = None
                while reply is None:
                    data = self._receive(deadline)
                    if not data:
                        raise EOFError
                    reply = reader.feed(data)
                self.rest = reader.rest
                return reply
            except (EOFError, OSError, paramiko.SSHException):
                # A channel that has waited for all of the time may say so before the deadline does.
                if deadline.expired or deadline.left() < _NEARLY:
                    raise TimeoutError from None
                raise Gone from None

    def alive(self, seconds: float) -> bool:
        """Ask the server of the host for a sign of life; return whether it and the agent are there.

        The connection is closed if there is none within `seconds`.
        """
        transport = self.channel.get_transport()
        with Deadline(seconds) as deadline:
            deadline.closes(transport.close)
            try:
                with self.pulse.asking:
                    transport.global_request("keepalive@openssh.com", wait=True)
            except (EOFError, OSError, paramiko.SSHException):
                return False
        return not self.ended

    @property
    def ended(self) -> bool:
        """Whether it is known already that it is gone."""
        channel = self.channel
        gone = channel.closed or channel.eof_received
        return bool(gone or not channel.get_transport().is_active())

    def _receive(self, deadline: Deadline) -> bytes:
        try:
            return bytes(self.channel.recv(1 << 18))
        except TimeoutError:
            if self.pulse.ask(min(_SIGN, deadline.left())) is not None:
                raise EOFError from None
        self.channel.settimeout(deadline.left())
        return bytes(self.channel.recv(1 << 18))


class Kept:
    """Kept is a host to which a keeper has a connection.

    files: those on which the connection depends. idle: the seconds after which nobody wants it.
    """

    def __init__(self, spec: HostSpec, session: Session, files: Files, idle: float) -> None:
        self.name = spec.name
        self.used = time.monotonic()
        self._spec = spec
        self._session = session
        self._files = files
        self._idle = idle
        self._connections = Connections(spec, session)
        self._lock = threading.Lock()
        self._agents: list[Agent] = []
        self._closed = False
        self._slept = slept()
        self._seen: dict[bytes, tuple[float, Reply]] = {}
        self._left_until = 0.0
        # Whether a ProxyCommand leads there. Here it lacks most variables of the command, and may
        # fail or wait for ever without them, so its failures say nothing about the host.
        self.by_program = False

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""
        return any(link.active for link in self._connections.open)

    def answer(
        self, operation: str, arguments: dict[str, Any], seconds: float, age: float
    ) -> tuple[Reply, bool]:
        """Return what the host replies to a call, and whether that is old.

        age: a reply may be so many seconds old. Who takes such a one is about to change the host,
        so nobody else gets it.

        Raises:
            GenvxError: there is no reply within `seconds`.
        """
        # Other threads set `used` while this one waits for the host.
        now = self.used = time.monotonic()
        self._wake()
        key = dumps([operation, arguments])
        with self._lock:
            at, seen = self._seen.pop(key, (0.0, None)) if age else (0.0, None)
        if seen is not None and now - at < age:
            return seen, True
        if now < self._left_until:
            raise HostError("left to the command")
        try:
            reply = self._ask(operation, arguments, time.monotonic() + seconds, seconds)
        except GenvxError as error:
            if self.by_program or not isinstance(error, HostUnreachable):
                self._left_until = time.monotonic() + _LEFT
            if self.by_program:
                raise HostError("left to the command") from error
            raise
        finally:
            # Closed meanwhile, and perhaps connected anew after that.
            if self._closed:
                self._connections.close()
        if reply.error is None and not age:
            with self._lock:
                self._seen[key] = (now, reply)
                while len(self._seen) > _MOST_SEEN:
                    del self._seen[min(self._seen, key=lambda each: self._seen[each][0])]
        return reply, False

    def _ask(self, operation: str, arguments: dict[str, Any], end: float, seconds: float) -> Reply:
        while True:
            with self._lock:
                agent = self._agents.pop() if self._agents else None
            fresh = agent is None
            if agent is None:
                agent = self.begin(max(0.001, end - time.monotonic()))
            try:
                reply = agent.ask(operation, arguments, max(0.001, end - time.monotonic()))
            except Gone:
                agent.close()
                # Others that stayed went with the same connection; a new one knows best.
                if fresh or time.monotonic() >= end:
                    raise HostUnreachable("the connection ended", kind="lost") from None
            except TimeoutError:
                agent.close()
                limit = round(seconds, 1)
                raise HostUnreachable(
                    f"no answer within {limit:g} s: {SILENT}", kind="timeout"
                ) from None
            except BaseException:
                agent.close()
                raise
            else:
                self._give_back(agent)
                return reply

    def _give_back(self, agent: Agent) -> None:
        with self._lock:
            if not self._closed and len(self._agents) < _MOST_AGENTS:
                self._agents.append(agent)
                return
        agent.close()

    def begin(self, seconds: float, *, runs: bool = False) -> Agent:
        """Start an agent that stays; connect first, if that is needed.

        runs: it may run one command.

        Raises:
            GenvxError: there is none within `seconds`. Unkeepable: see `Files`.
        """
        self._watch_files(self._spec)
        caller = self.caller(seconds)
        agent = Agent(caller.call(Stay(self._idle + _LATER, runs)))
        self._spec = caller.spec
        return agent

    def caller(self, seconds: float) -> Caller:
        """Return what calls agents on the same connection, each within so many seconds."""
        return Caller(self._spec, seconds, self._connections)

    def _watch_files(self, target: Target, hops: int = 0) -> None:
        if target.ssh_config:
            self._files.add_config(target.ssh_config)
        settings = self._session.settings(target)
        self.by_program = self.by_program or bool(settings.proxy_command)
        self._files.add(settings.known_hosts)
        for path in settings.identities + settings.missing:
            self._files.add((path, f"{path}.pub", f"{path}-cert.pub"))
        if settings.proxy_jump and hops < _MOST_HOPS:
            for hop in settings.proxy_jump.split(","):
                self._watch_files(Target.hop(hop.strip(), target.ssh_config), hops + 1)

    def _wake(self) -> None:
        """Close the connection if the machine has slept: whoever was there knows nothing of us."""
        now = slept()
        with self._lock:
            if now - self._slept < 1.0:
                return
            self._slept = now
            self._seen.clear()
            agents, self._agents = self._agents, []
        for agent in agents:
            agent.close()
        self._connections.close()

    def close(self) -> None:
        """Close the connection; who asks meanwhile gets an error."""
        with self._lock:
            self._closed = True
            agents, self._agents = self._agents, []
        for agent in agents:
            agent.close()
        self._connections.close()


class Asked:
    """One question to a kept host, as a fleet asks its hosts."""

    def __init__(self, kept: Kept) -> None:
        self.name = kept.name
        self.kept = kept

    def close(self) -> None:
        """The keeper closes it."""


def slept() -> float:
    """Seconds for which the machine has slept since its boot."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()


def reason(error: GenvxError) -> tuple[str, str] | None:
    """Return the kind and the message of an error that a command would have met as well; None if
    it had better find out itself.
    """
    if type(error) is HostUnreachable and error.kind in ("dns", "refused", "timeout"):
        return error.kind, str(error)
    return None
