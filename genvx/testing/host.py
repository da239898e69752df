"""FakeHost is a Host without a machine; see genvx.testing."""

from __future__ import annotations

import math
import threading
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from genvx.core.grant import Finding, Grant, Severity
from genvx.core.policy import Entitlement, Limit, Policy
from genvx.core.wire.operations import (
    Examine,
    Operation,
    Release,
    Reserve,
    ShowPolicy,
    TakeSnapshot,
)
from genvx.errors import InvalidInput, WaitedTooLong
from genvx.testing.hold import FakeHold
from genvx.testing.machine import FakeMachine

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.core.ask import Ask
    from genvx.core.queue import Standing

R = TypeVar("R")


class FakeHost(FakeMachine):
    """FakeHost is a host in memory.

    devices: a number, or the devices. leases: those that exist from the start. owner: the user as
    whom callers act. error: raised by every method that asks the host. closed: whether `close` was
    called.
    """

    closed = False

    def doctor(self) -> tuple[Finding, ...]:
        """Return one finding: the devices are simulated."""
        self.require_answer()
        return (Finding("driver", Severity.WARNING, "devices are simulated"),)

    def answer(self, operation: Operation[R]) -> R:
        """Reply to an operation; raise InvalidInput for one that this host does not know."""
        self.require_answer()
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
        self.require_answer()
        return Entitlement(self.owner.name, Policy(), Limit())

    def acquire(self, ask: Ask) -> FakeHold:
        """Take devices, or raise and change nothing.

        The lease has its time limit, but nothing ends when it is over.

        Raises:
            NoCapacity: not enough devices are available. Unsatisfiable: there are never enough.
        """
        grant = self.grant(ask)
        return FakeHold(self, grant, lambda: self.release(grant.environment_id))

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
        end = monotonic() + (math.inf if ask.patience is None else ask.patience)
        stop = stop or threading.Event()
        ticket = self.line_up(ask)
        try:
            while (standing := self.standing_of(ticket)) is not None:
                tell(standing)
                if monotonic() >= end or stop.wait(0.005):
                    raise WaitedTooLong(f"{ask.requirements} not free: {standing.reason}")
            self.leave_line(ticket)
            return self.acquire(ask)
        finally:
            self.leave_line(ticket)

    def __str__(self) -> str:
        return self.name

    def close(self) -> None:
        """Set `closed`."""
        self.closed = True
