"""SSHHost: a Host over SSH. One call to its far end at a time, under one deadline."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, TypeVar

from genvx.core.ask import Ask, Join
from genvx.core.queue import Standing
from genvx.core.text import printable
from genvx.core.value import replace
from genvx.core.wire import operations
from genvx.core.wire.operations import Job
from genvx.errors import (
    AgentError,
    CommandNotFound,
    HostLost,
    ProtocolError,
    WaitedTooLong,
)
from genvx.fleet.caller import Caller
from genvx.fleet.remotehold import RemoteHold
from genvx.ssh.channels import close_channel
from genvx.ssh.connections import Connections

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import paramiko

    from genvx.core.ask import Wanted
    from genvx.core.device import DeviceProcess
    from genvx.core.grant import Finding, Grant
    from genvx.core.lease import Environment
    from genvx.core.policy import Entitlement
    from genvx.core.requirements import Requirements
    from genvx.core.snapshot import Snapshot
    from genvx.core.wire.operations import Operation, Progress
    from genvx.fleet.hostspec import HostSpec
    from genvx.fleet.remotehold import Started
    from genvx.ssh.deadline import Deadline
    from genvx.ssh.session import Session, SSHOptions

R = TypeVar("R")

# Our look at a host comes before its look at us, also if either is late.
_LATER = 1.25

# So long a far end may take to end the processes of an environment (local/running/ending.py).
_ENDING = 15.0

# And to look for the turns of others, before it says that it waits.
_TURN = 5.0

# A far end in whose line we wait says something every 20 s at least.
_SILENCE = 90.0
_MOST_PATIENCE = 10 * 365 * 86400.0


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
        return self._offered(self.answer(operations.TakeSnapshot(holders)))

    def _offered(self, snapshot: Snapshot) -> Snapshot:
        gpus = self.spec.gpus
        if gpus is None:
            return snapshot
        return replace(snapshot, devices=tuple(d for d in snapshot.devices if d.index in gpus))

    def doctor(self) -> tuple[Finding, ...]:
        """What is wrong on this host."""
        return self.answer(operations.Examine())

    def entitlement(self) -> Entitlement:
        """What we may do there by its policy."""
        return self.answer(operations.ShowPolicy())

    def release(self, environment: str, *, kill: bool = False) -> Environment:
        """End an environment there, by id or by name; one's own only. kill: its processes, too."""
        asked = operations.Release(environment, kill)
        return self.answer(asked, patience=_ENDING if kill else 0.0)

    def smi(self, environment: str) -> tuple[Snapshot, dict[str, list[DeviceProcess]]]:
        """This host, and the own processes of an environment of ours, by its id, on each of its
        devices, by UUID.

        Raises:
            UnknownEnvironment: there is none.
        """
        use = self.answer(operations.ShowUse(environment))
        own = {
            device.uuid: [
                process
                for process in use.snapshot.usage_of(device).processes or ()
                if process.pid in use.own.get(device.uuid, ())
            ]
            for device in use.snapshot.devices
        }
        return self._offered(use.snapshot), own

    # Acts

    def attach(self, environment: str, requirements: Requirements) -> Grant:
        """Give a living environment of one's own there, by its id, more devices; returns the whole
        of it.

        Raises: as `acquire`; UnknownEnvironment: there is none.
        """
        return self.answer(operations.Attach(environment, self._within(requirements)))

    def detach(self, environment: str, devices: Sequence[str] = ()) -> Grant:
        """Take devices away from one there, named by label or UUID, or all; returns what is left.

        Raises: UnknownDevice: one is not in it. UnknownEnvironment: there is none of that id.
        """
        return self.answer(operations.Detach(environment, tuple(devices)))

    def start_in_turn(
        self,
        environment: str,
        command: Sequence[str],
        *,
        patience: float = math.inf,
        tell: Callable[[str], None] = lambda turn: None,
    ) -> Started:
        """Start a command in an environment there, by its id, when its turn on the GPUs comes.

        patience: seconds to wait for that at most. tell: called with who has the turn.

        Raises:
            WaitedTooLong: it was not our turn in time. CommandNotFound: it is not there.
        """
        most = None if patience == math.inf else min(patience, _MOST_PATIENCE)
        asked = operations.RunInTurn(environment, Job(tuple(command)), most)
        told = ""
        try:
            started = self._caller.call(asked, patience=_TURN)
            while isinstance(started.last, operations.Behind):
                if started.last.who != told:
                    told = started.last.who
                    tell(told)
                started.next_reply(_SILENCE, lambda: False)
        except CommandNotFound as error:
            raise error.on(self.name) from None
        return started

    def acquire(self, ask: Ask) -> RemoteHold:
        """Take devices there and hold them while the connection lives and our process does.

        Raises:
            NoCapacity: not enough devices are available. HostError: the host could not be asked.
        """
        return self._held(replace(self._offering(ask), patience=None))

    def join(self, environment: str, *, command: str = "") -> RemoteHold:
        """Hold on to a living environment of one's own there, by its id, beside those who hold it.

        Raises:
            UnknownEnvironment: there is none. HostError: the host could not be asked.
        """
        return self._held(Join(environment, printable(command)))

    def reserve(self, ask: Ask) -> Grant:
        """Take devices there that nobody holds, for as long as the request lasts."""
        return self.answer(operations.Reserve(self._offering(ask)))

    def wait(
        self,
        ask: Ask,
        tell: Callable[[Standing], None] = lambda standing: None,
        stop: threading.Event | None = None,
    ) -> RemoteHold:
        """Take devices as `acquire` does, and wait in line there for them if need be.

        The ticket is held there, and ends with the connection; nothing is asked meanwhile.

        Raises:
            WaitedTooLong: not to be had in time. Unsatisfiable: never. HostError: the host could
            not be asked, or fell silent.
        """
        stop = stop or threading.Event()
        patience = math.inf if ask.patience is None else ask.patience
        wanted = replace(self._offering(ask), patience=min(patience, _MOST_PATIENCE))
        waiting = self._caller.call(operations.Hold(wanted, self._silence))
        try:
            while isinstance(waiting.last, Standing):
                tell(waiting.last)
                if not waiting.next_reply(_SILENCE, stop.is_set):
                    raise WaitedTooLong("the waiting was ended")
            hold = RemoteHold(self, waiting)
            waiting.take()
            return hold
        except BaseException:
            close_channel(waiting.channel)
            raise

    def _offering(self, ask: Ask) -> Ask:
        """The request, limited to what the hostfile offers of this host."""
        requirements = self._within(ask.requirements)
        return replace(ask, requirements=requirements, command=printable(ask.command))

    def _within(self, requirements: Requirements) -> Requirements:
        return replace(
            requirements,
            among=self.spec.gpus,
            visible_as=requirements.visible_as or self.spec.visible_as,
        )

    @property
    def _silence(self) -> float:
        """Seconds after which a far end that hears nothing of us lets go: we notice first."""
        return self.options.host_lost_after * _LATER

    def _held(self, wanted: Wanted) -> RemoteHold:
        return RemoteHold(self, self._granted(operations.Hold(wanted, self._silence)))

    def start(self, wanted: Wanted, job: Job) -> Started:
        """Start a command there; returns once it holds its devices.

        Raises:
            NoCapacity: not enough devices are available. CommandNotFound: that host does not have
            the command.
        """
        if isinstance(wanted, Ask):
            wanted = self._offering(wanted)
        try:
            return self._granted(operations.Run(wanted, job))
        except CommandNotFound as error:
            raise error.on(self.name) from None

    def _granted(self, operation: Operation[Progress]) -> Started:
        """Start what must begin with a grant; a far end that replies otherwise is let go of."""
        started = self._caller.call(operation)
        try:
            started.grant()
        except ProtocolError:
            close_channel(started.channel)
            raise
        return started

    def free_port(self) -> int:
        """A TCP port there that nobody listens on just now."""
        return self.answer(operations.FindPort())

    @property
    def address(self) -> str:
        """Where we reach it: a name or an address, as ssh_config has it."""
        return self.session.settings(self.spec).hostname

    def signal(self, grant: Grant, name: str) -> None:
        """Send a signal, named without SIG, to the command that was granted devices there; not to
        others in its environment.
        """
        self.answer(operations.Signal(grant.environment, name, grant.lease))

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

    def answer(self, operation: Operation[R], *, patience: float = 0.0) -> R:
        """Ask it for an operation with one reply. patience: seconds that it may take longer than
        others.

        Raises:
            GenvxError: what it replied. HostError: it could not be asked.
        """
        answered = self._caller.call(operation, one_reply=True, patience=patience)
        if not self.session.keeps and not self._connections.in_use:
            self.close()
        return answered.last
