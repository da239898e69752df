"""The active environments of a machine, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.quantities.ages import format_duration
from genvx.core.quantities.amounts import format_memory
from genvx.core.requests.ranges import ranges
from genvx.shown import holding
from genvx.shown.columns import Fitting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from genvx.core.leases.environment import Environment
    from genvx.core.snapshot import Snapshot

COLUMNS = ("ID", "USER", "NAME", "CREATED", "DEVICES", "LEFT", "PID")
FITTING = Fitting(
    # CREATED keeps an age whole, or the day of a date.
    yielding={"NAME": 8, "DEVICES": 8, "USER": 8, "CREATED": 11, "PID": 6, "LEFT": 6},
    dropped=("PID", "CREATED", "LEFT"),
    kept=("HOST", "ID"),
)


def total_of(environments: int) -> str:
    """Return the line below the table."""
    return f"Total {environments} environments"


def notes_on(shown: Iterable[tuple[Snapshot, Sequence[Environment]]]) -> list[str]:
    """Return the notes below the table: what "?" means, and what has outlived its shell."""
    notes, unseen = [], False
    for snapshot, environments in shown:
        notes += holding.outliving(snapshot, environments)
        unseen = unseen or any(env.holders is None for env in environments)
    return notes + [f"?: held by {holding.UNSEEN}"] * unseen


def row(
    env: Environment,
    snapshot: Snapshot,
    since: Callable[[float], str],
    listed: Callable[[list[str]], str] = ranges,
) -> list[str]:
    """Return the row of an environment.

    since: formats an age in seconds. listed: joins labels of devices.
    """
    return [
        env.id,
        str(env.owner),
        env.name,
        since(snapshot.age_seconds(env.since_ns)),
        _devices(env, snapshot, listed),
        _left(env, snapshot),
        holding.pids(env),
    ]


def _devices(env: Environment, snapshot: Snapshot, listed: Callable[[list[str]], str]) -> str:
    """The devices by index, "0-3, 6", or "0, 1 (40 GiB each)" for shares; a missing one is "?"."""
    known = [snapshot.device(uuid) for uuid in env.devices]
    present = sorted((d for d in known if d is not None), key=lambda d: (d.index, d.instance or 0))
    labels = [listed([device.label for device in present])] * bool(present)
    # A GPU was lost, or the simulation changed; the lease still names it.
    labels += ["?"] * (len(known) - len(present))
    notes = ["simulated"] * any(device.simulated for device in present)
    notes += [] if env.memory is None else [f"{format_memory(env.memory)} each"]
    return (", ".join(labels) or "-") + (f" ({', '.join(notes)})" if notes else "")


def _left(env: Environment, snapshot: Snapshot) -> str:
    """The time until the environment is ended; "-" if it never is."""
    if env.expires_ns is None:
        return "-"
    return format_duration(max(0, (env.expires_ns - snapshot.boottime_ns) // 10**9))
