"""SSHHost: a Host over SSH. One call to its far end at a time, under one deadline."""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar

from genvx.core import codec
from genvx.core.fields import Malformed
from genvx.core.protocol import CALL_WORD, MOST_NOISE, Call, Reply, ReplyReader
from genvx.core.record import replace
from genvx.core.text import printable
from genvx.errors import (
    AgentError,
    CommandNotFound,
    GenvxError,
    HostError,
    HostLost,
    HostUnreachable,
    ProtocolError,
    WaitedTooLong,
)
from genvx.fleet.bootstrap import (
    SILENT,
    NotStarted,
    agent_command,
    agent_parcel,
    never_ran,
    not_started,
    probe_command,
    probed,
)
from genvx.fleet.connections import Connections
from genvx.fleet.deadline import Deadline
from genvx.fleet.fleet import FANOUT, HOST_LOST_AFTER, TIMEOUT, Fleet
from genvx.fleet.remote import RemoteCommand, RemoteHold, close_channel, new_token
from genvx.fleet.session import Session, SSHOptions
from genvx.fleet.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import paramiko

    from genvx.core.grant import Finding, Grant
    from genvx.core.lease import Environment
    from genvx.core.policy import Entitlement
    from genvx.core.queue import Standing
    from genvx.core.request import Requirements
    from genvx.core.snapshot import Snapshot
    from genvx.fleet.hostspec import HostSpec

T = TypeVar("T")

# Our look at a host comes before its look at us, also if either is late.
_LATER = 1.25

# How often we look whether somebody else reads our call, and how much it may say of that.
_LOOK = 0.5
_MOST_ERRORS = 8192
# So long a far end may take to end the processes of an environment (local/ending.py).
_ENDING = 15.0

# A far end in whose line we wait says something every 20 s at least.
_SILENCE = 90.0
_MOST_PATIENCE = 10 * 365 * 86400.0

# Connections are kept between questions in fleets of up to this many hosts: each costs a thread and
# a descriptor, of which most systems give a process 1,024.
_KEPT = 512


def connect_fleet(
    specs: Sequence[HostSpec],
    *,
    fanout: int = FANOUT,
    timeout: float = TIMEOUT,
    user: str | None = None,
    config: str | None = None,
    accept_new_host_keys: bool = False,
    host_lost_after: float = HOST_LOST_AFTER,
    prompt: Callable[[str], str | None] | None = None,
) -> Fleet:
    """A fleet of hosts over SSH. Nothing is connected before it is asked something.

    host_lost_after: seconds of silence after which a host that something depends on is lost.
    user: who logs in where the hostfile does not say; not on jump hosts, as with ssh's -l.
    prompt: asks a person for a password or a passphrase; without it nobody is asked.
    """
    options = SSHOptions(timeout, config, accept_new_host_keys, host_lost_after)
    session = Session(options, Vault(prompt), keeps=len(specs) <= _KEPT)
    hosts = [SSHHost(replace(spec, user=spec.user or user), session) for spec in specs]
    return Fleet(hosts, fanout=fanout, timeout=timeout, unlock=session.unlock)


def _send(channel: paramiko.Channel, data: bytes) -> None:
    try:
        channel.sendall(data)
    except (EOFError, OSError):
        # The far end has ended without reading. What it said, and its exit code, tell why.
        pass


def _port(plain: Any) -> int:
    if type(plain) is not int or not 0 < plain < 65536:
        raise Malformed("not a port")
    return plain


class SSHHost:
    """A machine over SSH, as a Host.

    Its connection is opened when first needed, and kept until `close`.
    """

    def __init__(self, spec: HostSpec, session: Session) -> None:
        self.name = spec.name
        self.spec = spec
        self.session = session
        self._connections = Connections(spec, session)
        self._agent_kept: bool | None = None  # None: not known yet

    @property
    def options(self) -> SSHOptions:
        return self.session.options

    def __str__(self) -> str:
        return self.name

    def close(self) -> None:
        """Close the connection, also one that is being opened.

        What holds a lease through it lets go.
        """
        self._connections.close()

    # Questions

    def snapshot(self, *, holders: bool = False) -> Snapshot:
        """This host at this moment; only the devices that the hostfile offers. holders: also which
        processes hold its leases.
        """
        asked = {"holders": True} if holders else {}
        return self._offered(self._ask("snapshot", asked, codec.SNAPSHOT.read))

    def _offered(self, snapshot: Snapshot) -> Snapshot:
        gpus = self.spec.gpus
        if gpus is None:
            return snapshot
        return replace(snapshot, devices=tuple(d for d in snapshot.devices if d.index in gpus))

    def doctor(self) -> tuple[Finding, ...]:
        """What is wrong on this host."""
        return self._ask(
            "doctor",
            {},
            lambda plain: tuple(codec.FINDING.read(item) for item in list(plain)),
        )

    def entitlement(self) -> Entitlement:
        """What we may do there by its policy."""
        from genvx.core import policycodec

        return self._ask("policy", {}, policycodec.ENTITLEMENT.read)

    def release(self, environment: str, *, kill: bool = False) -> Environment:
        """End an environment there, by id or by name; one's own only. kill: its processes, too."""
        arguments: dict[str, Any] = {"environment": environment}
        if kill:
            arguments["kill"] = True
        patience = _ENDING if kill else 0.0
        return self._ask("release", arguments, codec.ENVIRONMENT.read, patience=patience)

    # Acts

    def acquire(
        self,
        requirements: Requirements,
        *,
        name: str = "",
        command: str = "",
        time: float | None = None,
    ) -> RemoteHold:
        """Take devices there and hold them while the connection lives and our process does.

        Raises:
            NoCapacity: not enough devices are available. HostError: the host could not be asked.
        """
        arguments = self.request(requirements, name, time) | {"command": printable(command)}
        arguments |= self._silence()
        return RemoteHold(self, self._granted(Call("hold", new_token(), arguments)))

    def join(self, environment: str, *, command: str = "") -> RemoteHold:
        """Hold on to a living environment of one's own there, by its id, beside those who hold it.

        Raises:
            UnknownEnvironment: there is none. HostError: the host could not be asked.
        """
        arguments: dict[str, Any] = {"environment": environment, "command": printable(command)}
        arguments |= self._silence()
        return RemoteHold(self, self._granted(Call("hold", new_token(), arguments)))

    def reserve(
        self, requirements: Requirements, time: float, *, name: str = "", command: str = ""
    ) -> Grant:
        """Take devices there for so many seconds, whoever lives or dies."""
        arguments = self.request(requirements, name, time) | {"command": printable(command)}
        return self._ask("reserve", arguments, codec.GRANT.read)

    def wait(
        self,
        requirements: Requirements,
        *,
        name: str = "",
        environment: str | None = None,
        command: str = "",
        patience: float = math.inf,
        tell: Callable[[Standing], None] = lambda standing: None,
        stop: threading.Event | None = None,
        time: float | None = None,
        keeps: bool = True,
    ) -> RemoteHold:
        """Take devices as `acquire` does, and wait in line there for them if need be.

        The ticket is held there, and ends with the connection; nothing is asked meanwhile.

        Raises:
            WaitedTooLong: not to be had in time. Unsatisfiable: never. HostError: the host could
            not be asked, or fell silent.
        """
        stop = stop or threading.Event()
        arguments = self.request(requirements, name, time) | {
            "command": printable(command),
            "patience_ms": int(min(patience, _MOST_PATIENCE) * 1000),
            "keeps": keeps,
            **self._silence(),
        }
        if environment is not None:
            arguments["environment"] = environment
        call = Call("hold", new_token(), arguments)
        waiting = self._start(call)
        try:
            while (standing := waiting.standing()) is not None:
                tell(standing)
                if not waiting.next_reply(_SILENCE, stop.is_set):
                    raise WaitedTooLong("the waiting was ended")
            hold = RemoteHold(self, waiting)
            waiting.take()
            return hold
        except BaseException:
            close_channel(waiting.channel)
            raise

    def request(
        self, requirements: Requirements, name: str, time: float | None = None
    ) -> dict[str, Any]:
        """The arguments of a call that acquires here. time: seconds that it lasts at most."""
        requirements = replace(
            requirements,
            among=self.spec.gpus,
            visible_as=requirements.visible_as or self.spec.visible_as,
        )
        return {
            "requirements": codec.REQUIREMENTS.write(requirements),
            "name": name,
            "seconds": None if time is None else max(1, round(time)),
        }

    def _silence(self) -> dict[str, int]:
        """How long a far end that holds something hears nothing of us before it lets go: we know
        first.
        """
        return {"silence_ms": int(self.options.host_lost_after * _LATER * 1000)}

    def start(self, arguments: dict[str, Any]) -> RemoteCommand:
        """Start a command there with our call's arguments; returns once it holds its devices.

        Raises:
            CommandNotFound: that host does not have the command.
        """
        try:
            return self._granted(Call("run", new_token(), arguments))
        except CommandNotFound as error:
            raise error.on(self.name) from None

    def _granted(self, call: Call) -> RemoteCommand:
        """Start what must begin with a grant; a far end that replies otherwise is let go of."""
        command = self._start(call)
        try:
            command.grant()
        except ProtocolError:
            close_channel(command.channel)
            raise
        return command

    def free_port(self) -> int:
        """A TCP port there that nobody listens on just now."""
        return self._ask("port", {}, _port)

    @property
    def address(self) -> str:
        """Where we reach it: a name or an address, as ssh_config has it."""
        return self.session.settings(self.spec).hostname

    def signal(self, grant: Grant, name: str) -> None:
        """Send a signal, named without SIG, to the command that was granted devices there; not to
        others in its environment.
        """
        arguments = {"environment": grant.environment, "signal": name}
        if grant.lease:
            arguments["lease"] = grant.lease
        self._ask("signal", arguments, lambda plain: plain)

    def require_terminal(self) -> None:
        """The agent must lie on the host, once it was asked anything: a terminal cannot carry it.

        Raises:
            AgentError: the host has nowhere to keep it.
        """
        if self._agent_kept is False:
            raise AgentError(
                "nothing can be written there, neither to the cache directory of the home nor to "
                "/var/tmp, and a shell in a terminal needs that; 'run' does not"
            )

    @property
    def needed_secret(self) -> bool:
        """Whether somebody had to give a secret for our connection."""
        return any(link.needed_secret for link in self._connections.open)

    def lost(self) -> HostLost | None:
        """Ask whether it still answers; what there is to say if it does not."""
        links = self._connections.open
        return links[-1].pulse.ask(self.options.host_lost_after / 10) if links else None

    # The wire

    def channel(
        self, deadline: Deadline, ask: Callable[[paramiko.Channel], None]
    ) -> paramiko.Channel:
        """A channel that was asked before the deadline for what it is to run."""
        link, channel = self._connections.channel(deadline, ask)
        link.pulse.watch(channel)
        return channel

    def _ask(
        self,
        operation: str,
        arguments: dict[str, Any],
        decode: Callable[[Any], T],
        *,
        patience: float = 0.0,
    ) -> T:
        """One call, one reply, and the channel is closed. patience: seconds that it may take longer
        than others.
        """
        call = Call(operation, new_token(), arguments)
        command = self._start(call, one_reply=True, patience=patience)
        if not self.session.keeps and not self._connections.in_use:
            self.close()
        try:
            return decode(command.value)
        except (Malformed, TypeError) as error:
            raise ProtocolError(f"the reply cannot be read: {printable(str(error), 200)}") from None

    def _start(
        self, call: Call, *, one_reply: bool = False, patience: float = 0.0
    ) -> RemoteCommand:
        """Send a call; where the first Python does not start, to the next.

        Raises: as `_call` does.
        """
        try:
            return self._call(call, one_reply, patience)
        except NotStarted:
            self.spec = replace(self.spec, python=self._python())
        return self._call(call, one_reply, patience)

    def _python(self) -> str:
        """A Python there that starts; raise AgentError if there is none."""
        token = new_token()
        with Deadline(self.options.timeout) as deadline:
            link, channel = self._connections.channel(
                deadline, lambda channel: channel.exec_command(probe_command(token))
            )
            said = b""
            try:
                channel.settimeout(deadline.left())
                while len(said) < MOST_NOISE and (data := channel.recv(65536)):
                    said += data
            except OSError as error:
                raise self._connections.let_go(link, error, deadline) from None
            finally:
                close_channel(channel)
        return probed(said, token)

    def _call(self, call: Call, one_reply: bool, patience: float) -> RemoteCommand:
        """Send a call and wait for its reply; the channel stays open for what follows the reply.

        Raises:
            GenvxError: what the far end replied; HostError: there was no reply in time.
        """
        line = agent_command(self.spec, call.token)
        with Deadline(self.options.timeout + patience) as deadline:
            link, channel = self._connections.channel(
                deadline, lambda channel: channel.exec_command(line)
            )
            try:
                channel.settimeout(deadline.left())
                # Our end of stdin stays open: a host without the agent reads that from it, too.
                _send(channel, call.to_bytes())
                reader = ReplyReader(call.token)
                errors = bytearray()
                reply = self._read(channel, reader, errors, deadline)
                if one_reply:
                    close_channel(channel)
                value = reply.result()
                if not one_reply:
                    link.pulse.watch(channel, holds=call.operation == "hold")
                return RemoteCommand(
                    channel, call.token, value, link.pulse, reader.rest, bytes(errors)
                )
            except BaseException as error:
                close_channel(channel)
                if isinstance(error, GenvxError) and not deadline.expired:
                    raise
                if isinstance(error, Exception):
                    meaning = self._connections.let_go(link, error, deadline)
                    if deadline.expired:
                        meaning = HostUnreachable(f"{meaning}: {SILENT}", kind="timeout")
                    raise meaning from None
                raise

    def _read(
        self,
        channel: paramiko.Channel,
        reader: ReplyReader,
        errors: bytearray,
        deadline: Deadline,
    ) -> Reply:
        """The reply. errors: gets what comes on stderr meanwhile."""
        sent = False
        while True:
            channel.settimeout(min(_LOOK, deadline.left()))
            try:
                data = channel.recv(65536)
            except TimeoutError:
                if deadline.expired:
                    raise
                _drain(channel, errors)
                if CALL_WORD in errors or CALL_WORD in reader.noise:
                    # Another program than ours has read the call, and goes on reading.
                    raise AgentError(never_ran()) from None
                continue
            if not data:
                raise self._no_reply(channel, reader, errors)
            reply = reader.feed(data)
            if reply is not None:
                self._agent_kept = not reader.agent_homeless
                return reply
            if reader.agent_needed and not sent:
                sent = True
                _send(channel, agent_parcel())

    def _no_reply(
        self, channel: paramiko.Channel, reader: ReplyReader, errors: bytearray
    ) -> HostError:
        """Why the far end ended without a reply, from its exit code and what it said instead."""
        # An exit status without a reply comes with or just after the end of the output.
        end = time.monotonic() + 1.0
        while not channel.exit_status_ready() and time.monotonic() < end:
            channel.status_event.wait(0.05)
        _drain(channel, errors)
        said = bytes(errors) or reader.noise
        lines = [line for line in said.decode("utf-8", "replace").splitlines() if line]
        last = printable(lines[-1].strip(), 300) if lines else "it said nothing"
        code = channel.exit_status if channel.exit_status_ready() else -1
        error = not_started(self.spec, code, "\n".join(lines))
        if error is not None:
            return error
        if code == -1:
            return ProtocolError(f"the connection ended before the reply: {last}")
        if code == 0 or CALL_WORD in said:
            # Ours never ends so without a reply.
            return AgentError(f"the far end gave no reply ({last}): {never_ran()}")
        hint = "" if lines else "; a start-up file there may end what ssh was told to run"
        return AgentError(f"the far end gave no reply and exit code {code}: {last}{hint}")


def _drain(channel: paramiko.Channel, errors: bytearray) -> None:
    """Take what has come on stderr; of a host that never ends saying something, the beginning."""
    while channel.recv_stderr_ready() and len(errors) < _MOST_ERRORS:
        errors += channel.recv_stderr(8192)
