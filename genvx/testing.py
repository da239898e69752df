"""FakeHost is a Host without a machine, for tests of programs that use genvx.

    fleet = genvx.Fleet([FakeHost("a", devices=2), FakeHost("b",
    error=genvx.HostUnreachable("gone"))])

It keeps the promises of the Host protocol, errors included; the same tests run against it and real
hosts.
"""

from __future__ import annotations

import io
import itertools
import math
import subprocess
import threading
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from genvx._version import __version__
from genvx.core.claim import Owner
from genvx.core.command import require_variables, words_of
from genvx.core.device import Device, VisibleAs
from genvx.core.environments import environments
from genvx.core.finding import Finding, Severity
from genvx.core.grant import Grant
from genvx.core.hold import BaseHold
from genvx.core.lease import Lease
from genvx.core.limit import Limit
from genvx.core.policy import Entitlement, Policy
from genvx.core.queue import decide, position_of
from genvx.core.refusal import Refusal
from genvx.core.snapshot import Snapshot
from genvx.core.text import printable, require_name
from genvx.core.ticket import Ticket
from genvx.core.usage import DeviceUsage, Driver
from genvx.core.wire.acts import Release, Reserve
from genvx.core.wire.questions import Examine, ShowPolicy, TakeSnapshot
from genvx.errors import (
    GenvxError,
    InvalidInput,
    NoCapacity,
    NotOwner,
    UnknownEnvironment,
    Unsatisfiable,
    WaitedTooLong,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from genvx.core.ask import Ask
    from genvx.core.command import Command
    from genvx.core.environment import Environment
    from genvx.core.running import Stream
    from genvx.core.standing import Standing
    from genvx.core.wire.operation import Operation

R = TypeVar("R")

_numbers = itertools.count(1)


class FakeHost:
    """FakeHost is a host in memory.

    devices: a number, or the devices. leases: those that exist from the start. owner: the user as
    whom callers act. error: raised by every method that asks the host. closed: whether `close` was
    called.
    """

    def __init__(
        self,
        name: str,
        devices: int | Sequence[Device] = 1,
        *,
        leases: Sequence[Lease] = (),
        owner: Owner | None = None,
        error: GenvxError | None = None,
    ) -> None:
        self.name = name
        self.owner = owner or Owner(1000, "me")
        self.error = error
        self.devices = (
            tuple(devices)
            if not isinstance(devices, int)
            else tuple(
                Device(
                    f"SIM-{name}-{index}",
                    index,
                    "A100-80GB",
                    80 << 30,
                    simulated=True,
                    ordinal=index,
                )
                for index in range(devices)
            )
        )
        self._leases = list(leases)
        self._tickets: list[Ticket] = []
        self.closed = False

    def snapshot(self, *, holders: bool = False) -> Snapshot:
        """Take a snapshot; the clock of the host advances by a second at each.

        holders: ignored, as no processes hold the leases.
        """
        self._answer()
        return Snapshot(
            hostname=self.name,
            version=__version__,
            boot_id="fake",
            boottime_ns=next(_numbers) * 10**9,
            driver=Driver(version="simulated", simulated=True),
            devices=self.devices,
            usage={d.uuid: DeviceUsage(memory_used=0, utilization=0) for d in self.devices},
            leases=tuple(self._leases),
            tickets=tuple(self._tickets),
        )

    def doctor(self) -> tuple[Finding, ...]:
        """Return one finding: the devices are simulated."""
        self._answer()
        return (Finding("driver", Severity.WARNING, "devices are simulated"),)

    def answer(self, operation: Operation[R]) -> R:
        """Reply to an operation; raise InvalidInput for one that this host does not know."""
        self._answer()
        answers: dict[type[Operation[Any]], Callable[[Any], Any]] = {
            TakeSnapshot: lambda asked: self.snapshot(holders=asked.holders),
            Examine: lambda asked: self.doctor(),
            ShowPolicy: lambda asked: self.entitlement(),
            Release: lambda asked: self.release(asked.environment, kill=asked.kill),
            Reserve: lambda asked: self.reserve(asked.ask),
        }
        answer = answers.get(type(operation))
        if answer is None:
            raise InvalidInput(f"a fake host has no {type(operation).__name__}")
        reply: R = answer(operation)
        return reply

    def entitlement(self) -> Entitlement:
        """Return an entitlement without limits."""
        self._answer()
        return Entitlement(self.owner.name, Policy(), Limit())

    def acquire(self, ask: Ask) -> FakeHold:
        """Take devices, or raise and change nothing.

        The lease has its time limit, but nothing ends when it is over.

        Raises:
            NoCapacity: not enough devices are available. Unsatisfiable: there are never enough.
        """
        self._answer()
        require_name(ask.name)
        requirements = ask.requirements
        snapshot = self.snapshot()
        decision = decide(requirements, snapshot)
        if isinstance(decision, Refusal):
            raise (Unsatisfiable if decision.never else NoCapacity)(str(decision))
        number = next(_numbers)
        lease = Lease(
            id=f"{number:016x}",
            owner=self.owner,
            environment_id=f"{number:08x}",
            name=ask.name,
            devices=tuple(device.uuid for device in decision.devices),
            memory=requirements.memory,
            boot_id="fake",
            since_ns=snapshot.boottime_ns,
            expires_ns=(
                None if ask.seconds is None else snapshot.boottime_ns + ask.seconds * 10**9
            ),
            command=printable(ask.command, 256),
            visible_as=requirements.visible_as or VisibleAs.UUID,
        )
        self._leases.append(lease)
        grant = Grant(
            lease.environment_id,
            ask.name,
            self.owner,
            decision.devices,
            requirements.memory,
            visible_as=lease.visible_as,
        )
        return FakeHold(self, grant)

    def reserve(self, ask: Ask) -> Grant:
        """Take devices; they stay taken until they are released."""
        return self.acquire(ask).grant

    def wait(
        self,
        ask: Ask,
        tell: Callable[[Standing], None] = lambda standing: None,
        stop: threading.Event | None = None,
    ) -> FakeHold:
        """Take devices when others have released enough, first come, first served.

        Raises:
            WaitedTooLong: the patience is over, or `stop` was set. Unsatisfiable: there are never
            enough.
        """
        number = next(_numbers)
        ticket = Ticket(
            id=f"{number:016x}",
            owner=self.owner,
            environment_id=ask.environment_id or f"{number:08x}",
            name=ask.name,
            requirements=ask.requirements,
            boot_id="fake",
            since_ns=number * 10**9,
            # Far in the future: a ticket of this host is never passed over as one of a stopped
            # process.
            seen_ns=1 << 62,
            command=printable(ask.command, 256),
            keeps=ask.keeps,
        )
        end = monotonic() + (math.inf if ask.patience is None else ask.patience)
        stop = stop or threading.Event()
        self._tickets.append(ticket)
        try:
            while True:
                position = position_of(ticket.id, self.snapshot())
                if (
                    position is None
                    or position.offered
                    or getattr(position.decision, "never", False)
                ):
                    self._tickets.remove(ticket)
                    return self.acquire(ask)
                tell(position.standing)
                if monotonic() >= end or stop.wait(0.005):
                    raise WaitedTooLong(f"{ask.requirements} not free: {position.reason}")
        finally:
            if ticket in self._tickets:
                self._tickets.remove(ticket)

    def release(self, environment: str, *, kill: bool = False) -> Environment:
        """End an environment of the owner; kill is ignored, as there are no processes.

        Raises:
            UnknownEnvironment: there is none. NotOwner: it belongs to somebody else.
        """
        self._answer()
        found = [
            candidate
            for candidate in environments(self._leases)
            if environment and environment in (candidate.id, candidate.name)
        ]
        if not found:
            raise UnknownEnvironment(f"no active environment {printable(environment, 60)!r} here")
        mine = [candidate for candidate in found if candidate.owner == self.owner]
        if not mine:
            raise NotOwner(
                f"environment {printable(environment, 60)!r} belongs to {found[0].owner}; "
                "only its owner and root can release it"
            )
        if len(mine) > 1:
            raise UnknownEnvironment(
                f"several environments are named {printable(environment, 60)!r}; give the id: "
                + ", ".join(sorted(candidate.id for candidate in mine))
            )
        key = (mine[0].owner.uid, mine[0].id)
        self._leases = [lease for lease in self._leases if lease.key != key]
        return mine[0]

    def __str__(self) -> str:
        return self.name

    def close(self) -> None:
        """Set `closed`."""
        self.closed = True

    def _answer(self) -> None:
        if self.error is not None:
            raise self.error


class FakeHold(BaseHold):
    """FakeHold holds devices of a FakeHost.

    commands: the commands that were started. None is executed; each succeeds at once and writes
    nothing.
    """

    def __init__(self, host: FakeHost, grant: Grant) -> None:
        self.host = host
        self.grant = grant
        self.commands: list[Command] = []
        self._held = True

    def start(
        self,
        command: Command,
        *,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> FakeRunning:
        """Record a command, and return it as one that has ended."""
        words = words_of(command)
        require_variables(env or {})
        self.commands.append(command)
        return FakeRunning(words, stdin, stdout, stderr)

    def release(self) -> None:
        """Release the devices. Idempotent."""
        if self._held:
            self._held = False
            try:
                self.host.release(self.environment_id)
            except UnknownEnvironment:
                pass  # released by id before


class FakeRunning:
    """FakeRunning is a command of a FakeHold; it has ended with exit code 0.

    signals: the signals that were sent to it.
    """

    def __init__(self, args: list[str], stdin: Stream, stdout: Stream, stderr: Stream) -> None:
        self.args = args
        self.returncode = 0
        self.signals: list[int] = []
        self.stdin, self.stdout, self.stderr = (
            io.BytesIO() if stream == subprocess.PIPE else None
            for stream in (stdin, stdout, stderr)
        )

    def poll(self) -> int:
        """Return 0."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return 0 at once."""
        return self.returncode

    def communicate(
        self, input: bytes | None = None, timeout: float | None = None
    ) -> tuple[bytes | None, bytes | None]:
        """Return empty output and errors; None for one that is no pipe."""
        out, err = (None if pipe is None else pipe.read() for pipe in (self.stdout, self.stderr))
        return out, err

    def signal(self, number: int) -> None:
        """Record a signal in `signals`."""
        self.signals.append(number)

    def kill(self) -> None:
        """Do nothing: the command has ended."""

    def close(self) -> None:
        """Close the pipes."""
        for pipe in (self.stdin, self.stdout, self.stderr):
            if pipe is not None:
                pipe.close()
