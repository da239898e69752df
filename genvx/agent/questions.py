"""Operations with one reply: a function for each, from a host and an operation to the reply's
value.

Modules that only some of them need are imported by those: start-up is most of what a question
costs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from genvx.core.wire import operations
from genvx.core.wire.operations import OwnUse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.grant import Finding, Grant
    from genvx.core.lease import Environment
    from genvx.core.policy import Entitlement
    from genvx.core.snapshot import Snapshot
    from genvx.local.host import LocalHost


def snapshot(host: LocalHost, asked: operations.TakeSnapshot) -> Snapshot:
    """Return the host at this moment."""
    return host.snapshot(holders=asked.holders)


def doctor(host: LocalHost, asked: operations.Examine) -> tuple[Finding, ...]:
    """Return what is wrong on the host."""
    return host.doctor()


def policy(host: LocalHost, asked: operations.ShowPolicy) -> Entitlement:
    """Return what the caller may do on the host."""
    return host.entitlement()


def use(host: LocalHost, asked: operations.ShowUse) -> OwnUse:
    """Return the host, and which processes on an environment's devices are its own."""
    from genvx.shown import mine

    env = host.mine(asked.environment_id)
    seen = host.snapshot()
    own = mine.processes_of(env, seen)
    return OwnUse(
        seen, {uuid: tuple(process.pid for process in found) for uuid, found in own.items()}
    )


def port(host: LocalHost, asked: operations.FindPort) -> int:
    """Return a port for a job that will listen on it."""
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # The kernel picks a free port. Another process may take it before the job does; then the
        # job says so when it listens.
        probe.bind(("", 0))
        number: int = probe.getsockname()[1]
        return number


def release(host: LocalHost, asked: operations.Release) -> Environment:
    """End an environment; return it as it was."""
    return host.release(asked.environment, kill=asked.kill)


def attach(host: LocalHost, asked: operations.Attach) -> Grant:
    """Give an environment more devices; return all that it has then."""
    return host.attach(asked.environment_id, asked.requirements)


def detach(host: LocalHost, asked: operations.Detach) -> Grant:
    """Take devices from an environment; return what is left of it."""
    return host.detach(asked.environment_id, asked.devices)


def reserve(host: LocalHost, asked: operations.Reserve) -> Grant:
    """Reserve devices; return them."""
    return host.reserve(asked.ask)


def signal(host: LocalHost, asked: operations.Signal) -> None:
    """Pass a signal on."""
    host.signal(asked.environment_id, asked.signal, asked.lease)


ANSWERS: Mapping[type[operations.Operation[Any]], Callable[[LocalHost, Any], Any]] = {
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
