"""Operations with one reply: a function each, from this machine and what is asked to the reply.

The agent answers calls by them, and `LocalHost.answer` answers a program here. What only some of
them need is imported by those: start-up is most of what a question costs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from genvx.core.wire import operations
from genvx.core.wire.operations import OwnUse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Protocol

    from genvx.core.ask import Ask
    from genvx.core.grant import Finding, Grant
    from genvx.core.lease import Environment
    from genvx.core.policy import Entitlement
    from genvx.core.requirements import Requirements
    from genvx.core.snapshot import Snapshot

    class Here(Protocol):
        """What is asked of this machine: a LocalHost."""

        def snapshot(self, *, holders: bool = False) -> Snapshot: ...

        def doctor(self) -> tuple[Finding, ...]: ...

        def entitlement(self) -> Entitlement: ...

        def mine(self, environment: str) -> Environment: ...

        def release(self, environment: str, *, kill: bool = False) -> Environment: ...

        def attach(self, environment: str, requirements: Requirements) -> Grant: ...

        def detach(self, environment: str, devices: Sequence[str] = ()) -> Grant: ...

        def reserve(self, ask: Ask) -> Grant: ...

        def signal(self, environment: str, name: str, lease: str = "") -> None: ...


def snapshot(host: Here, asked: operations.TakeSnapshot) -> Snapshot:
    """The host at this moment."""
    return host.snapshot(holders=asked.holders)


def doctor(host: Here, asked: operations.Examine) -> tuple[Finding, ...]:
    """What is wrong here."""
    return host.doctor()


def policy(host: Here, asked: operations.ShowPolicy) -> Entitlement:
    """What the caller may do here."""
    return host.entitlement()


def use(host: Here, asked: operations.ShowUse) -> OwnUse:
    """Which processes on an environment's devices are its own."""
    from genvx.local.use import processes_of

    env = host.mine(asked.environment_id)
    seen = host.snapshot()
    own = processes_of(env, seen)
    return OwnUse(
        seen, {uuid: tuple(process.pid for process in found) for uuid, found in own.items()}
    )


def port(host: Here, asked: operations.FindPort) -> int:
    """A port for a job that will listen on it."""
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("", 0))
        number: int = probe.getsockname()[1]
        return number


def release(host: Here, asked: operations.Release) -> Environment:
    """The environment that has ended."""
    return host.release(asked.environment, kill=asked.kill)


def attach(host: Here, asked: operations.Attach) -> Grant:
    """All that the environment has then."""
    return host.attach(asked.environment_id, asked.requirements)


def detach(host: Here, asked: operations.Detach) -> Grant:
    """What is left of the environment."""
    return host.detach(asked.environment_id, asked.devices)


def reserve(host: Here, asked: operations.Reserve) -> Grant:
    """What is reserved."""
    return host.reserve(asked.ask)


def signal(host: Here, asked: operations.Signal) -> None:
    """Pass a signal on."""
    host.signal(asked.environment_id, asked.signal, asked.lease)


ANSWERS: Mapping[type[operations.Operation[Any]], Callable[[Here, Any], Any]] = {
    operations.TakeSnapshot: snapshot,
    operations.Examine: doctor,
    operations.ShowPolicy: policy,
    operations.ShowUse: use,
    operations.FindPort: port,
    operations.Release: release,
    operations.Attach: attach,
    operations.Detach: detach,
    operations.Reserve: reserve,
    operations.Signal: signal,
}
