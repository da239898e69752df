"""genvx policy: what is allowed, as a table and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.cli.ask.where import Where
from genvx.cli.schema.hosts import failed_host
from genvx.cli.schema.policies import plain_entitlement
from genvx.cli.show.output import Output
from genvx.core.device import VisibleAs
from genvx.core.policies.enforcement import Measure
from genvx.core.policies.policy import Policy
from genvx.core.quantities.ages import format_duration
from genvx.core.quantities.amounts import format_memory
from genvx.shown.columns import Fitting

if TYPE_CHECKING:
    from genvx.core.policies.enforcement import Enforcement
    from genvx.core.policies.limit import Limit
    from genvx.core.policies.policy import Entitlement
    from genvx.fleet.fleet import Fleet

_COLUMNS = ("WHO", "GPUS", "MEMORY", "TIME")
_FITTING = Fitting(kept=("HOST", "WHO"))
_NAMES = {VisibleAs.UUID: "UUIDs", VisibleAs.INDEX: "indices"}


def show(where: Where, fleet: Fleet, output: Output) -> int:
    """Ask the hosts and print the answer; return the exit code."""
    outcomes = where.ask(fleet, lambda host: host.entitlement())
    if output.json:
        hosts = [
            failed_host(name, outcomes.failed[name])
            if name in outcomes.failed
            else {"host": name, "ok": True} | plain_entitlement(outcomes.succeeded[name])
            for name in (host.name for host in fleet.hosts)
        ]
        output.document("policy", hosts)
        return where.report(outcomes)
    rows = [
        [name, *row] if where.remote else row
        for name, entitlement in outcomes.succeeded.items()
        for row in _rows(entitlement)
    ]
    notes = [] if where.remote else [n for e in outcomes.succeeded.values() for n in _notes(e)]
    columns = ("HOST", *_COLUMNS) if where.remote else _COLUMNS
    output.table(columns, rows, "\n".join(notes), fitting=_FITTING, answered=bool(rows))
    return where.report(outcomes)


def _rows(entitlement: Entitlement) -> list[list[str]]:
    policy = entitlement.policy
    return [
        _row(f"you ({entitlement.user})", entitlement.limit),
        _row("everybody", policy.everybody),
        *(_row(f"group {name}", limit) for name, limit in policy.groups.items()),
        *(_row(f"user {name}", limit) for name, limit in policy.users.items()),
    ]


def _row(who: str, limit: Limit) -> list[str]:
    return [
        who,
        "-" if limit.gpus is None else str(limit.gpus),
        "-" if limit.memory is None else format_memory(limit.memory),
        "-" if limit.time is None else format_duration(limit.time),
    ]


def _notes(entitlement: Entitlement) -> list[str]:
    policy = entitlement.policy
    notes = []
    if policy == Policy():
        notes.append("There is no policy.toml here: nothing is limited")
    if policy.administrators:
        notes.append(f"Administrators, without limits: {', '.join(policy.administrators)}")
    if policy.hidden:
        notes.append(f"Hidden from all others: GPU {', '.join(policy.hidden)}")
    if policy.oversubscribed:
        over = ", ".join(f"GPU {name}" for name in policy.oversubscribed)
        notes.append(f"Can be over-subscribed (-o): {over}")
    if policy.visible_as is not None:
        names = _NAMES[policy.visible_as]
        notes.append(f"CUDA_VISIBLE_DEVICES has {names}, unless --visible-as says otherwise")
    if policy.shared is not None:
        notes.append(
            f"Can be shared: {', '.join(f'GPU {name}' for name in policy.shared) or 'none'}"
        )
    if not policy.in_use:
        notes.append("No request gets a GPU that somebody uses without a lease (useActiveGpu)")
    if not policy.debug_ports:
        notes.append("Runs have no debug ports (run -d --debug-key-file)")
    return [*notes, *_enforced(policy.enforcement)]


def _enforced(rules: Enforcement | None) -> list[str]:
    """What genvx enforce does here, where root runs it."""
    if rules is None:
        return []
    found = []
    for what, rule in (
        ("on a GPU without a lease", rules.squatters),
        ("on a GPU that others lease", rules.intruders),
        ("that use more memory than a share", rules.memory),
    ):
        if rule is not None:
            end = f", and ended {format_duration(rule.grace)} later"
            found.append(f"Processes {what} are told" + end * (rule.do is Measure.END))
    if rules.idle is not None:
        done = "released" if rules.idle.do is Measure.RELEASE else "told"
        found.append(f"Environments idle for {format_duration(rules.idle.after)} are {done}")
    return [f"{each} (genvx enforce)" for each in found]
