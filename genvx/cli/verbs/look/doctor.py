"""genvx doctor: find out what is wrong, and what to do."""

from __future__ import annotations

import typer

from genvx.cli.ask import options
from genvx.cli.ask.where import here
from genvx.cli.show import schema
from genvx.cli.show.tables import Output
from genvx.core.finding import Severity
from genvx.errors import HostError


def doctor(
    context: typer.Context,
    json: options.Json = False,
    csv: options.Csv = False,
    style: options.Style = None,
    no_header: options.NoHeader = False,
) -> None:
    """Show what is wrong, one line each, and what to do.

    The exit code is 4 if something is wrong.

    Example: genvx remote doctor
    """
    where = here(context)
    output = Output(json, csv, not no_header, style=style)
    with where.fleet() as fleet:
        outcomes = where.ask(fleet, lambda host: host.doctor())
        if json:
            output.document(
                "doctor",
                [
                    {
                        "host": host.name,
                        "ok": True,
                        "findings": [
                            schema.finding(item) for item in outcomes.succeeded[host.name]
                        ],
                    }
                    if host.name in outcomes.succeeded
                    else schema.failed_host(host.name, outcomes.failed[host.name])
                    for host in fleet.hosts
                ],
            )
        else:
            rows = [
                [
                    *([name] if where.remote else []),
                    item.check,
                    item.result
                    if item.severity is Severity.OK
                    else f"{item.severity.value}: {item.result}",
                    item.advice,
                ]
                for name, findings in outcomes.succeeded.items()
                for item in findings
            ]
            head = ("HOST",) if where.remote else ()
            columns = (*head, "CHECK", "RESULT", "ADVICE")
            output.table(columns, rows, wrapping=("RESULT", "ADVICE"), answered=bool(rows))
        broken = any(
            item.severity is Severity.ERROR
            for findings in outcomes.succeeded.values()
            for item in findings
        )
        raise typer.Exit(where.report(outcomes) or (HostError.exit_code if broken else 0))
