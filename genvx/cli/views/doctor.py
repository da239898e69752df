"""genvx doctor: what is wrong on hosts and what to do, as a table and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.cli.ask.where import Where
from genvx.cli.schema.document import Plain
from genvx.cli.schema.findings import plain_finding
from genvx.cli.schema.hosts import failed_host
from genvx.cli.show.output import Output
from genvx.core.finding import Finding, Severity
from genvx.errors import HostError
from genvx.shown.columns import Fitting

if TYPE_CHECKING:
    from genvx.core.projects.python import Python
    from genvx.fleet.fleet import Fleet
    from genvx.fleet.host import Host
    from genvx.fleet.outcomes import Outcomes
    from genvx.fleet.shipping.shipment import Shipment


_FITTING = Fitting(kept=("HOST", "CHECK"), wrapping=("RESULT", "ADVICE"), coloured=("RESULT",))


def show(
    where: Where,
    fleet: Fleet,
    output: Output,
    project: Shipment | None = None,
    python: Python | None = None,
) -> int:
    """Ask the hosts and print the answer; return the exit code. project, python: those that they
    may have.
    """

    def examine(host: Host) -> tuple[Finding, ...]:
        found = host.doctor()
        if project is None:
            return found
        from genvx.fleet.examining import of_project

        return (*found, *of_project(host, project, python))

    outcomes = where.ask(fleet, examine)
    for note in where.remote_notes():
        where.note(note)
    if output.json:
        hosts = [
            failed_host(name, outcomes.failed[name])
            if name in outcomes.failed
            else {"host": name, "ok": True, "findings": _document(outcomes.succeeded[name])}
            for name in (host.name for host in fleet.hosts)
        ]
        output.document("doctor", hosts)
    else:
        _table(where, outcomes, output)
    broken = any(
        item.severity is Severity.ERROR
        for findings in outcomes.succeeded.values()
        for item in findings
    )
    return where.report(outcomes) or (HostError.exit_code if broken else 0)


def _document(findings: tuple[Finding, ...]) -> list[Plain]:
    return [plain_finding(item) for item in findings]


def _table(where: Where, outcomes: Outcomes[tuple[Finding, ...]], output: Output) -> None:
    rows = [
        [*([name] if where.remote else []), item.check, _result(item), item.advice]
        for name, findings in outcomes.succeeded.items()
        for item in findings
    ]
    head = ("HOST",) if where.remote else ()
    columns = (*head, "CHECK", "RESULT", "ADVICE")
    output.table(columns, rows, fitting=_FITTING, answered=bool(rows))


def _result(item: Finding) -> str:
    return item.result if item.severity is Severity.OK else f"{item.severity.value}: {item.result}"
