"""SSHHost is a Host over SSH; each of its calls has one deadline."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, TypeVar

from genvx.core.line.standing import Standing
from genvx.core.prelude import with_prelude
from genvx.core.requests.ask import Ask, Join
from genvx.core.text import printable
from genvx.core.value import replace
from genvx.core.wire import acts, ongoing, progress, questions
from genvx.core.wire.job import Job
from genvx.errors import (
    AgentError,
    CommandNotFound,
    HostLost,
    ProtocolError,
    WaitedTooLong,
)
from genvx.fleet.caller import Caller
from genvx.fleet.detaching.hostruns import MOST_PATIENCE, HostRuns
from genvx.fleet.examining import examined
from genvx.fleet.offer import offering, within
from genvx.fleet.questions import Questions
from genvx.fleet.remotehold import RemoteBox, RemoteEntry, RemoteHold
from genvx.fleet.shipping.ships import Ships
from genvx.ssh.connections import Connections
from genvx.ssh.ending import close_channel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import paramiko

    from genvx.core.finding import Finding
    from genvx.core.leases.environment import Environment
    from genvx.core.leases.grant import Grant
    from genvx.core.requests.ask import Wanted
    from genvx.core.requests.requirements import Requirements
    from genvx.core.runs.container import Container
    from genvx.core.wire.operation import Operation
    from genvx.core.wire.progress import Progress
    from genvx.fleet.hosts.hostspec import HostSpec
    from genvx.fleet.remotehold import Started
    from genvx.ssh.config.options import SSHOptions
    from genvx.ssh.deadline import Deadline
    from genvx.ssh.session import Session

R = TypeVar("R")

# The far end waits this much longer for signs of us than we do for signs of it. So we report a
# lost host before the host gives our devices to others.
_LATER = 1.25
# Seconds that the far end may take to end an environment's processes (running/release.py).
_ENDING = 15.0
# Seconds that it may take to look at the locks of others, before it reports that it waits.
_TURN = 5.0
# A far end in whose line we wait reports at least every 20 s.
_SILENCE = 90.0


class SSHHost(Questions, Ships, HostRuns):
    """SSHHost is a machine over SSH, as a Host.

    Its connection is opened when it is first needed, and kept until `close`.
    """

    def __init__(self, spec: HostSpec, session: Session) -> None:
        self.name = spec.name
        self.session = session
        self.connections = Connections(spec, session)
        self._caller = Caller(spec, session.options.timeout, self.connections)

    @property
    def spec(self) -> HostSpec:
        """The host's line of the hostfile, with the Python that starts there."""
        return self._caller.spec

    @property
    def patience(self) -> float:
        """Seconds that an answer may take."""
        return self.options.timeout

    @property
    def options(self) -> SSHOptions:
        """The options of all hosts of the fleet."""
        return self.session.options

    def __str__(self) -> str:
        return self.name

    def close(self) -> None:
        """Close the connection, also one that is being opened; leases held through it end."""
        self.connections.close()

    # Questions

    def doctor(self) -> tuple[Finding, ...]:
        """Examine the host and return what is wrong there, and with its clock."""
        return examined(self)

    def release(self, environment: str, *, kill: bool = False) -> Environment:
        """End an environment of one's own, by id or name.

        kill: also end its processes, which may take 15 seconds.

        Raises:
            UnknownEnvironment: there is none.
        """
        asked = acts.Release(environment, kill)
        return self.answer(asked, patience=_ENDING if kill else 0.0)

    # Acts

    def attach(self, environment: str, requirements: Requirements) -> Grant:
        """Add devices to an environment of one's own, by id; return all that it has then.

        Raises: as `acquire`. UnknownEnvironment: there is none.
        """
        return self.answer(acts.Attach(environment, within(self.spec, requirements)))

    def detach(self, environment: str, devices: Sequence[str] = ()) -> Grant:
        """Remove devices, named by label or UUID, or all, from an environment of one's own; return
        what is left.

        Raises:
            UnknownDevice: a device is not in it. UnknownEnvironment: there is none with this id.
        """
        return self.answer(acts.Detach(environment, tuple(devices)))

    def start_in_turn(
        self,
        environment: str,
        command: Sequence[str],
        *,
        patience: float = math.inf,
        tell: Callable[[str], None] = lambda turn: None,
    ) -> Started:
        """Start a command in an environment, by id, when it is our turn on the GPUs.

        patience: the most seconds to wait. tell: called with the one who has the turn.

        Raises:
            WaitedTooLong: our turn did not come in time. CommandNotFound: the host does not have
            the command.
        """
        most = None if patience == math.inf else min(patience, MOST_PATIENCE)
        words = with_prelude(self.spec.prelude, tuple(command))
        asked, told = ongoing.RunInTurn(environment, Job(words), most), ""
        try:
            started = self._caller.call(asked, patience=_TURN)
            while isinstance(started.last, progress.Behind):
                if started.last.who != told:
                    told = started.last.who
                    tell(told)
                started.next_reply(_SILENCE, lambda: False)
        except CommandNotFound as error:
            raise error.on(self.name) from None
        return started

    def acquire(self, ask: Ask) -> RemoteHold:
        """Take devices and hold them as long as the connection and our process live.

        Raises:
            NoCapacity: not enough devices are available. HostError: the host could not be asked.
        """
        return self._held(replace(offering(self.spec, ask), patience=None))

    def join(self, environment: str, *, command: str = "") -> RemoteHold:
        """Join a living environment of one's own, by id; it ends with its last holder.

        Raises:
            UnknownEnvironment: there is none. HostError: the host could not be asked.
        """
        return self._held(Join(environment, printable(command)))

    def enter(self, run: str, *, command: str = "") -> RemoteEntry:
        """Return what starts commands inside of a run there, by its id; nothing is asked yet."""
        return RemoteEntry(self, run)

    def boxed(self, hold: RemoteHold, container: Container) -> RemoteBox:
        """Return what starts commands in containers under a hold there; nothing is asked yet."""
        return RemoteBox(self, hold.environment_id, container)

    def reserve(self, ask: Ask) -> Grant:
        """Take devices without a holder, for as long as the ask lasts; raises as `acquire`."""
        return self.answer(acts.Reserve(offering(self.spec, ask)))

    def wait(
        self,
        ask: Ask,
        tell: Callable[[Standing], None] = lambda standing: None,
        stop: threading.Event | None = None,
    ) -> RemoteHold:
        """Take devices as `acquire` does, and wait in line for them if necessary.

        The host holds our ticket, which ends with the connection. It reports changes; we do not
        poll. tell: called with the place in the line. stop: ends the waiting when it is set.

        Raises:
            WaitedTooLong: the devices were not available in time. Unsatisfiable: they never can be.
            HostError: the host could not be asked, or fell silent.
        """
        stop = stop or threading.Event()
        patience = math.inf if ask.patience is None else ask.patience
        wanted = replace(offering(self.spec, ask), patience=min(patience, MOST_PATIENCE))
        waiting = self._caller.call(ongoing.Hold(wanted, self.silence))
        try:
            while isinstance(waiting.last, Standing):
                tell(waiting.last)
                if not waiting.next_reply(_SILENCE, stop.is_set):
                    raise WaitedTooLong("the wait was cancelled")
            # Devices are offered, and ours only with this word. If another host was first, we have
            # stopped waiting above, and the offer goes to the next in line.
            hold = RemoteHold(self, waiting)
            waiting.take()
            return hold
        except BaseException:
            close_channel(waiting.channel)
            raise

    @property
    def silence(self) -> float:
        """Seconds without a sign of us after which the far end releases; later than we notice."""
        return self.options.host_lost_after * _LATER

    def _held(self, wanted: Wanted) -> RemoteHold:
        return RemoteHold(self, self.begin(ongoing.Hold(wanted, self.silence)))

    def start(self, wanted: Wanted, job: Job) -> Started:
        """Start a command on the host; return once it holds its devices.

        Raises: as `acquire`. CommandNotFound: the host does not have the command.
        """
        if isinstance(wanted, Ask):
            wanted = offering(self.spec, wanted)
        if job.container is None:  # whose Python is the image's
            job = replace(job, argv=with_prelude(self.spec.prelude, job.argv))
        return self.begin(ongoing.Run(wanted, job))

    def begin(self, operation: Operation[Progress]) -> Started:
        """Call an operation that goes on after a grant; return once it is granted.

        Raises: as `answer`.
        """
        try:
            started = self._caller.call(operation)
        except CommandNotFound as error:
            raise error.on(self.name) from None
        try:
            started.grant()
        except ProtocolError:
            close_channel(started.channel)
            raise
        return started

    def free_port(self) -> int:
        """Find a TCP port of the host on which nothing listens at this moment."""
        return self.answer(questions.FindPort())

    @property
    def address(self) -> str:
        """The name or address at which we reach the host, by ssh_config; of a node of an allocation
        its name, at which the other nodes reach it.
        """
        if self.spec.step is not None:
            return self.spec.step.node
        return self.session.settings(self.spec).hostname

    def signal(self, grant: Grant, name: str) -> None:
        """Send a signal, named without SIG, to the command of a grant; to no others of its
        environment.
        """
        self.answer(acts.Signal(grant.environment_id, name, grant.lease))

    def stop_when_idle(self, seconds: float, first: float) -> str:
        """Have the machine shut itself down when no lease has lived for so long; return why it
        cannot, or nothing. first: seconds that are added the first time.
        """
        return self.answer(acts.StopWhenIdle(seconds, first))

    def require_terminal(self) -> None:
        """Check, after a first call, that the agent is stored on the host.

        A shell in a terminal needs that: its stdin is the keyboard, and cannot carry the agent.

        Raises:
            AgentError: the host has no place for the agent.
        """
        if self._caller.agent_kept is False:
            raise AgentError(
                "genvx cannot write on the host, neither to the user's cache directory nor to "
                "/var/tmp; a shell in a terminal needs that, 'run' does not"
            )

    @property
    def needed_secret(self) -> bool:
        """Whether a connection took a password or a passphrase."""
        return any(link.needed_secret for link in self.connections.open)

    def lost(self) -> HostLost | None:
        """Ask whether the host still answers; return HostLost if it does not."""
        links = self.connections.open
        return links[-1].pulse.ask(self.options.host_lost_after / 10) if links else None

    # The wire

    def channel(
        self, deadline: Deadline, ask: Callable[[paramiko.Channel], None]
    ) -> paramiko.Channel:
        """Open a channel and make the request `ask` on it, before the deadline."""
        link, channel = self.connections.channel(deadline, ask)
        link.pulse.watch(channel)
        return channel

    def answer(self, operation: Operation[R], *, patience: float = 0.0) -> R:
        """Perform an operation with one reply on the host, and return the reply.

        patience: seconds that it may take in addition to the usual timeout.

        Raises:
            GenvxError: the error that the host replied. HostError: the host could not be asked.
        """
        answered = self._caller.call(operation, one_reply=True, patience=patience)
        # A large fleet would run out of descriptors if every host kept its connection.
        if not self.session.keeps and not self.connections.in_use:
            self.close()
        return answered.last
