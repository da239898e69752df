"""Environments: as tables and as JSON."""

from __future__ import annotations

from genvx.cli import plain
from genvx.cli.tables import Output
from genvx.cli.views import holding
from genvx.cli.views.chosen import Chosen
from genvx.cli.where import Where
from genvx.core.lease import Environment
from genvx.core.snapshot import Snapshot
from genvx.core.units import format_memory
from genvx.fleet.fleet import Fleet

_ALL = Chosen()
_COLUMNS = ("ID", "USER", "NAME", "CREATED")


def show(where: Where, fleet: Fleet, output: Output, chosen: Chosen = _ALL) -> int:
    """Ask and print; return the exit code."""
    outcomes = where.ask(fleet, lambda host: host.snapshot(holders=True))
    if output.json:
        output.document("envs", plain.answers(fleet, outcomes, lambda s: _document(chosen, s)))
        return where.report(outcomes)
    found = outcomes.succeeded
    total = sum(len(chosen.environments(snapshot)) for snapshot in found.values())
    if where.remote:
        rows = [
            [name, *_row(env, snapshot, output)]
            for name, snapshot in found.items()
            for env in chosen.environments(snapshot)
        ]
        columns: tuple[str, ...] = ("HOST", *_COLUMNS)
        summary = f"Total {total} environments on {len(found)} hosts"
    else:
        rows = [
            [*_row(env, snapshot, output), _devices(env, snapshot), holding.pids(env)]
            for snapshot in found.values()
            for env in chosen.environments(snapshot)
        ]
        columns = (*_COLUMNS, "DEVICES", "PID(S)")
        summary = f"Total {total} environments"
    output.table(columns, rows, summary)
    shown = (env for snapshot in found.values() for env in chosen.environments(snapshot))
    if any(env.holders is None for env in shown) and not where.remote:
        where.note(f"?: held by {holding.UNSEEN}")
    return where.report(outcomes)


def _document(chosen: Chosen, snapshot: Snapshot) -> plain.Plain:
    shown = chosen.environments(snapshot)
    return {"environments": [plain.environment(env, snapshot) for env in shown]}


def _row(env: Environment, snapshot: Snapshot, output: Output) -> list[str]:
    return [env.id, str(env.owner), env.name, output.since(snapshot.age_seconds(env.since_ns))]


def _devices(env: Environment, snapshot: Snapshot) -> str:
    """The devices by index, "0, 1", or "0, 1 (40 GiB each)" for shares; one that is not
    there as "?".
    """
    known = [snapshot.device(uuid) for uuid in env.devices]
    labels = [
        "?" if d is None else f"{d.label}{' (simulated)' if d.simulated else ''}" for d in known
    ]
    share = "" if env.memory is None else f" ({format_memory(env.memory)} each)"
    return ", ".join(labels) + share
