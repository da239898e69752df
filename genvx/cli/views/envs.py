"""Environments: as tables and as JSON."""

from __future__ import annotations

from collections.abc import Callable

from genvx.cli import plain
from genvx.cli.tables import Output
from genvx.cli.views import holding
from genvx.cli.views.chosen import Chosen
from genvx.cli.where import Where
from genvx.core.lease import Environment
from genvx.core.ranges import ranges
from genvx.core.snapshot import Snapshot
from genvx.core.units import format_duration, format_memory
from genvx.fleet.fleet import Fleet

_ALL = Chosen()
_COLUMNS = ("ID", "USER", "NAME", "CREATED", "DEVICES", "LEFT", "PID")
_YIELDING = {"CREATED": 8, "NAME": 8, "DEVICES": 8, "USER": 8, "PID": 6, "LEFT": 6}


def show(where: Where, fleet: Fleet, output: Output, chosen: Chosen = _ALL) -> int:
    """Ask and print; return the exit code."""
    outcomes = where.ask(fleet, lambda host: host.snapshot(holders=True))
    if output.json:
        output.document("envs", plain.answers(fleet, outcomes, lambda s: _document(chosen, s)))
        return where.report(outcomes)
    found = outcomes.succeeded
    total = sum(len(chosen.environments(snapshot)) for snapshot in found.values())
    rows = [
        [*([name] if where.remote else []), *_row(env, snapshot, output)]
        for name, snapshot in found.items()
        for env in chosen.environments(snapshot)
    ]
    columns = ("HOST", *_COLUMNS) if where.remote else _COLUMNS
    summary = f"Total {total} environments"
    if where.remote:
        summary += f" on {len(found)} hosts"
    output.table(columns, rows, summary, yielding=_YIELDING)
    shown = (env for snapshot in found.values() for env in chosen.environments(snapshot))
    if any(env.holders is None for env in shown):
        where.note(f"?: held by {holding.UNSEEN}")
    return where.report(outcomes)


def _document(chosen: Chosen, snapshot: Snapshot) -> plain.Plain:
    shown = chosen.environments(snapshot)
    return {"environments": [plain.environment(env, snapshot) for env in shown]}


def _row(env: Environment, snapshot: Snapshot, output: Output) -> list[str]:
    return [
        env.id,
        str(env.owner),
        env.name,
        output.since(snapshot.age_seconds(env.since_ns)),
        _devices(env, snapshot, ", ".join if output.csv else ranges),
        _left(env, snapshot),
        holding.pids(env),
    ]


def _devices(env: Environment, snapshot: Snapshot, listed: Callable[[list[str]], str]) -> str:
    """The devices by index, "0-3, 6", or "0, 1 (40 GiB each)" for shares; one that is not there
    as "?".
    """
    known = [snapshot.device(uuid) for uuid in env.devices]
    present = sorted((d for d in known if d is not None), key=lambda d: (d.index, d.instance or 0))
    labels = [listed([device.label for device in present])] * bool(present)
    labels += ["?"] * (len(known) - len(present))
    notes = ["simulated"] * any(device.simulated for device in present)
    notes += [] if env.memory is None else [f"{format_memory(env.memory)} each"]
    return (", ".join(labels) or "-") + (f" ({', '.join(notes)})" if notes else "")


def _left(env: Environment, snapshot: Snapshot) -> str:
    """The time until it is ended; "-" if it never is."""
    if env.expires_ns is None:
        return "-"
    return format_duration(max(0, (env.expires_ns - snapshot.boottime_ns) // 10**9))
