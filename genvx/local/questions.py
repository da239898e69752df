"""Operations with one reply: a function for each, from this machine and an operation to the reply.

The agent answers calls by them, and `LocalHost.answer` a program on this machine. Modules that only
some of them need are imported by those: start-up is most of what a question costs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Optional

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Protocol

    from genvx.core.finding import Examination, Finding
    from genvx.core.leases.environment import Environment
    from genvx.core.leases.grant import Grant
    from genvx.core.policies.policy import Entitlement
    from genvx.core.requests.ask import Ask
    from genvx.core.requests.requirements import Requirements
    from genvx.core.snapshot import Snapshot
    from genvx.core.wire import acts, enforcing, questions, treeoperations
    from genvx.core.wire.operation import Operation

    class Here(Protocol):
        """The methods of a LocalHost that answer operations."""

        @property
        def environ(self) -> Mapping[str, str]: ...

        def snapshot(self, *, holders: bool = False, sensors: bool = False) -> Snapshot: ...

        def doctor(self) -> tuple[Finding, ...]: ...

        def entitlement(self) -> Entitlement: ...

        def mine(self, environment: str) -> Environment: ...

        def release(self, environment: str, *, kill: bool = False) -> Environment: ...

        def attach(self, environment: str, requirements: Requirements) -> Grant: ...

        def detach(self, environment: str, devices: Sequence[str] = ()) -> Grant: ...

        def reserve(self, ask: Ask) -> Grant: ...

        def signal(self, environment: str, name: str, lease: str = "") -> None: ...


def snapshot(host: Here, asked: questions.TakeSnapshot) -> Snapshot:
    """Return the host at this moment."""
    return host.snapshot(holders=asked.holders, sensors=asked.sensors)


def doctor(host: Here, asked: questions.Examine) -> Examination:
    """Return what is wrong on the host, and its clock."""
    import time

    from genvx.core.finding import Examination

    return Examination(host.doctor(), time.time_ns())


def policy(host: Here, asked: questions.ShowPolicy) -> Entitlement:
    """Return what the caller may do on the host."""
    return host.entitlement()


def use(host: Here, asked: questions.ShowUse) -> questions.OwnUse:
    """Return the host, and which processes on an environment's devices are its own."""
    from genvx.core.wire.questions import OwnUse
    from genvx.local.use import processes_of

    env = host.mine(asked.environment_id)
    seen = host.snapshot()
    own = processes_of(env, seen)
    return OwnUse(
        seen, {uuid: tuple(process.pid for process in found) for uuid, found in own.items()}
    )


def port(host: Here, asked: questions.FindPort) -> int:
    """Return a port for a job that will listen on it."""
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # The kernel picks a free port. Another process may take it before the job does; then the
        # job says so when it listens.
        probe.bind(("", 0))
        number: int = probe.getsockname()[1]
        return number


def enforce(host: Any, asked: enforcing.EnforceOnce) -> enforcing.Enforced:
    """Do one round of genvx enforce; return what it has done."""
    from genvx.local.enforcing.enforcer import enforce_once

    return enforce_once(host, dry_run=asked.dry_run)


def release(host: Here, asked: acts.Release) -> Environment:
    """End an environment; return it as it was."""
    return host.release(asked.environment, kill=asked.kill)


def attach(host: Here, asked: acts.Attach) -> Grant:
    """Give an environment more devices; return all that it has then."""
    return host.attach(asked.environment_id, asked.requirements)


def detach(host: Here, asked: acts.Detach) -> Grant:
    """Take devices from an environment; return what is left of it."""
    return host.detach(asked.environment_id, asked.devices)


def reserve(host: Here, asked: acts.Reserve) -> Grant:
    """Reserve devices; return them."""
    return host.reserve(asked.ask)


def signal(host: Here, asked: acts.Signal) -> None:
    """Pass a signal on."""
    host.signal(asked.environment_id, asked.signal, asked.lease)


def stop_when_idle(host: Here, asked: acts.StopWhenIdle) -> str:
    """Watch for idleness; return why that is of no use, or nothing."""
    from genvx.core.text import printable
    from genvx.local import idling

    return printable(idling.keep(asked.seconds, asked.first, host.environ))


def find_tree(host: Here, asked: treeoperations.FindTree) -> bool:
    """Return whether a tree is here."""
    from genvx.local.trees.store import TreeStore, trees_root

    return TreeStore(trees_root(host.environ)).has(asked.tree)


def clean_trees(host: Here, asked: treeoperations.CleanTrees) -> treeoperations.Cleaned:
    """Delete trees and environments that are not used; return what that was."""
    from genvx.core.wire.treeoperations import Amount, Cleaned
    from genvx.local.python.environments import Environments, environments_root
    from genvx.local.trees.store import TreeStore, trees_root

    stores: tuple[Any, ...] = (
        TreeStore(trees_root(host.environ)),
        Environments(environments_root(host.environ)),
    )
    found = [store.clean(asked.unused, only_say=asked.only_say) for store in stores]
    return Cleaned(
        *(Amount(len(kept), sum(e.size for e in kept)) for both in found for kept in both)
    )


# By the name of the class: a call loads the class of its own operation only.
ANSWERS: Mapping[str, Callable[[Here, Any], Any]] = {
    "TakeSnapshot": snapshot,
    "Examine": doctor,
    "ShowPolicy": policy,
    "ShowUse": use,
    "FindPort": port,
    "EnforceOnce": enforce,
    "Release": release,
    "Attach": attach,
    "Detach": detach,
    "Reserve": reserve,
    "Signal": signal,
    "StopWhenIdle": stop_when_idle,
    "FindTree": find_tree,
    "CleanTrees": clean_trees,
}


def answering(kind: type[Operation[Any]]) -> Optional[Callable[[Any, Any], Any]]:
    """The function that answers operations of a class; None for what goes on after its reply."""
    answer = ANSWERS.get(kind.__name__)
    if answer is None and kind.__module__.endswith(".runoperations"):
        from genvx.local.runs.questions import RUN_ANSWERS

        return RUN_ANSWERS.get(kind)
    return answer
