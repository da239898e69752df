"""SSHHost: a Host over SSH. One call to its far end at a time, under one deadline."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from genvx.core.text import printable
from genvx.core.value import replace
from genvx.core.wire import codec
from genvx.core.wire.fields import Fields, Malformed
from genvx.core.wire.protocol import Call
from genvx.errors import (
    AgentError,
    CommandNotFound,
    HostLost,
    ProtocolError,
    WaitedTooLong,
)
from genvx.fleet.caller import Caller
from genvx.fleet.remote import RemoteCommand, new_token
from genvx.fleet.remotehold import RemoteHold
from genvx.ssh.channels import close_channel
from genvx.ssh.connections import Connections

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import paramiko

    from genvx.core.device import DeviceProcess
    from genvx.core.grant import Finding, Grant
    from genvx.core.lease import Environment
    from genvx.core.policy import Entitlement
    from genvx.core.queue import Standing
    from genvx.core.requirements import Requirements
    from genvx.core.snapshot import Snapshot
    from genvx.fleet.hostspec import HostSpec
    from genvx.ssh.deadline import Deadline
    from genvx.ssh.session import Session, SSHOptions

T = TypeVar("T")

# Our look at a host comes before its look at us, also if either is late.
_LATER = 1.25

# So long a far end may take to end the processes of an environment (local/running/ending.py).
_ENDING = 15.0

# And to look for the turns of others, before it says that it waits.
_TURN = 5.0

# A far end in whose line we wait says something every 20 s at least.
_SILENCE = 90.0
_MOST_PATIENCE = 10 * 365 * 86400.0


def _own_use(plain: Any) -> tuple[Snapshot, dict[str, list[DeviceProcess]]]:
    fields = Fields(plain, "the use")
    snapshot = codec.SNAPSHOT.read(fields.raw("snapshot"))
    pids = fields.mapping("own", len(snapshot.devices))
    own = {}
    for device in snapshot.devices:
        mine = pids.get(device.uuid, ())
        processes = snapshot.usage_of(device).processes or ()
        own[device.uuid] = [process for process in processes if process.pid in mine]
    return snapshot, own


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
        self.session = session
        self._connections = Connections(spec, session)
        self._caller = Caller(spec, session.options.timeout, self._connections)

    @property
    def spec(self) -> HostSpec:
        """What the hostfile says of it, with the Python that starts there."""
        return self._caller.spec

    @property
    def patience(self) -> float:
        """Seconds that an answer may take."""
        return self.options.timeout

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
        from genvx.core.wire import policycodec

        return self._ask("policy", {}, policycodec.ENTITLEMENT.read)

    def release(self, environment: str, *, kill: bool = False) -> Environment:
        """End an environment there, by id or by name; one's own only. kill: its processes, too."""
        arguments: dict[str, Any] = {"environment": environment}
        if kill:
            arguments["kill"] = True
        patience = _ENDING if kill else 0.0
        return self._ask("release", arguments, codec.ENVIRONMENT.read, patience=patience)

    def smi(self, environment: str) -> tuple[Snapshot, dict[str, list[DeviceProcess]]]:
        """This host, and the own processes of an environment of ours, by its id, on each of its
        devices, by UUID.

        Raises:
            UnknownEnvironment: there is none.
        """
        snapshot, own = self._ask("smi", {"environment": environment}, _own_use)
        return self._offered(snapshot), own

    # Acts

    def attach(self, environment: str, requirements: Requirements) -> Grant:
        """Give a living environment of one's own there, by its id, more devices; returns the whole
        of it.

        Raises: as `acquire`; UnknownEnvironment: there is none.
        """
        wanted = self.request(requirements, "")["requirements"]
        arguments = {"environment": environment, "requirements": wanted}
        return self._ask("attach", arguments, codec.GRANT.read)

    def detach(self, environment: str, devices: Sequence[str] = ()) -> Grant:
        """Take devices away from one there, named by label or UUID, or all; returns what is left.

        Raises: UnknownDevice: one is not in it. UnknownEnvironment: there is none of that id.
        """
        arguments = {"environment": environment, "devices": list(devices)}
        return self._ask("detach", arguments, codec.GRANT.read)

    def start_in_turn(
        self,
        environment: str,
        command: Sequence[str],
        *,
        patience: float = math.inf,
        tell: Callable[[str], None] = lambda turn: None,
    ) -> RemoteCommand:
        """Start a command in an environment there, by its id, when its turn on the GPUs comes.

        patience: seconds to wait for that at most. tell: is told who has the turn.

        Raises:
            WaitedTooLong: it was not our turn in time. CommandNotFound: it is not there.
        """
        arguments: dict[str, Any] = {"environment": environment, "argv": list(command)}
        if patience != math.inf:
            arguments["patience_ms"] = int(min(patience, _MOST_PATIENCE) * 1000)
        told = ""
        try:
            started = self._caller.call(Call("lock", new_token(), arguments), patience=_TURN)
            while (standing := started.standing()) is not None:
                if standing.reason != told:
                    told = standing.reason
                    tell(told)
                started.next_reply(_SILENCE, lambda: False)
        except CommandNotFound as error:
            raise error.on(self.name) from None
        return started

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
        waiting = self._caller.call(call)
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
        command = self._caller.call(call)
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
        if self._caller.agent_kept is False:
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
        command = self._caller.call(call, one_reply=True, patience=patience)
        if not self.session.keeps and not self._connections.in_use:
            self.close()
        try:
            return decode(command.value)
        except (Malformed, TypeError) as error:
            raise ProtocolError(f"the reply cannot be read: {printable(str(error), 200)}") from None
