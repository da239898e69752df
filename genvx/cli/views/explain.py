"""genvx explain: why a request goes where it goes, as a table and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.cli.ask.where import Where
from genvx.cli.schema.explanations import plain_explanation
from genvx.cli.schema.hosts import failed_host, plain_host
from genvx.cli.show.output import Output
from genvx.core.placing.explanation import TAKEN, Explanation, explain
from genvx.core.requests.ranges import ranges
from genvx.errors import NoCapacity, Unsatisfiable
from genvx.fleet.ask import unsatisfiable
from genvx.shown.columns import Fitting

if TYPE_CHECKING:
    from genvx.core.requests.requirements import Requirements
    from genvx.fleet.fleet import Fleet

_COLUMNS = ("GPU", "NAME", "DECISION")
_FITTING = Fitting(
    yielding={"NAME": 8, "DECISION": 12}, dropped=("NAME",), kept=("RANK", "HOST", "GPU")
)


def show(where: Where, fleet: Fleet, output: Output, requirements: Requirements) -> int:
    """Ask the hosts and print the explanation; return the exit code."""
    outcomes = where.ask(fleet, lambda host: host.snapshot())
    found = explain(requirements, outcomes.succeeded)
    if output.json:
        by_host = {each.host: each for each in found}
        hosts = [
            failed_host(name, outcomes.failed[name])
            if name in outcomes.failed
            else plain_host(name, outcomes.succeeded[name])
            | plain_explanation(by_host[name], outcomes.succeeded[name])
            for name in (host.name for host in fleet.hosts)
        ]
        output.document("explain", hosts)
    else:
        _table(where, found, output, requirements)
        where.report_drivers(outcomes)
    code = where.report(outcomes)
    # A host that failed comes first: without its answer, "no room" is not certain.
    if code or any(each.rank for each in found) or not requirements.gpus:
        return code
    refusals = {each.host: each.refusal for each in found if each.refusal}
    never = not outcomes.failed and all(refusal.never for refusal in refusals.values())
    if never:
        if not output.json and where.remote:
            where.note(str(unsatisfiable(requirements, refusals)))
        return Unsatisfiable.exit_code
    return NoCapacity.exit_code


def _table(
    where: Where, found: tuple[Explanation, ...], output: Output, requirements: Requirements
) -> None:
    rows = []
    for each in found:
        rank = "-" if each.rank is None else str(each.rank)
        lines = [[device.label, device.shown_name, why] for device, why in each.devices]
        if not output.csv:
            lines = _grouped(lines)
        rows += [[rank, each.host, *line] if where.remote else line for line in lines]
        if not lines and where.remote:
            rows.append([rank, each.host, "", "", "no devices"])
    columns = ("RANK", "HOST", *_COLUMNS) if where.remote else _COLUMNS
    summary = _summary(where, found, requirements)
    output.table(columns, rows, summary, fitting=_FITTING, answered=bool(found))


def _grouped(lines: list[list[str]]) -> list[list[str]]:
    """Merge the lines of devices about which the same is said."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for label, *rest in lines:
        alike.setdefault(tuple(rest), []).append(label)
    return [[ranges(labels), *rest] for rest, labels in alike.items()]


def _summary(where: Where, found: tuple[Explanation, ...], requirements: Requirements) -> str:
    best = next((each for each in found if each.rank == 1), None)
    if best is None:
        return f"{requirements} wanted: no room"
    taken = [device.label for device, why in best.devices if why == TAKEN]
    place = f" on {best.host}" if where.remote else ""
    return f"{requirements} wanted: GPU{'' if len(taken) == 1 else 's'} {ranges(taken)}{place}"
