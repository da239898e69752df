"""Runs: as a table, one in full, and as JSON."""

from __future__ import annotations

import shlex
import time
from typing import TYPE_CHECKING

from genvx.cli.show import schema
from genvx.cli.show.tables import SCHEMA, Output, print_json
from genvx.core.runinfo import RunInfo
from genvx.core.runselect import newest_first, without_moved
from genvx.core.runstate import (
    Failed,
    Lost,
    Running,
    Stopped,
    Waiting,
    end_of,
    name_of,
)
from genvx.core.text import printable
from genvx.core.units import format_duration, format_memory

if TYPE_CHECKING:
    from genvx.cli.ask.where import Where
    from genvx.core.wire.runoperations import ListRuns, RunDetails
    from genvx.fleet.fleet import Fleet

_COLUMNS = ("ID", "NAME", "STATE", "GPUS", "SUBMITTED", "TOOK", "EXIT")
_YIELDING = {"NAME": 8, "HOST": 12, "SUBMITTED": 11, "STATE": 9}


def show(where: Where, fleet: Fleet, asked: ListRuns, output: Output) -> int:
    """Ask and print; return the exit code."""
    outcomes = where.ask(fleet, lambda host: host.answer(asked))
    if output.json:
        hosts = [
            schema.failed_host(host.name, outcomes.failed[host.name])
            if host.name in outcomes.failed
            else {
                "host": host.name,
                "ok": True,
                "runs": [schema.run(run) for run in outcomes.succeeded[host.name]],
            }
            for host in fleet.hosts
        ]
        output.document("runs", hosts)
        return where.report(outcomes)
    everywhere = [run for runs in outcomes.succeeded.values() for run in runs]
    found = newest_first(without_moved(everywhere))[: asked.most]
    kept = set(map(id, found))
    places = {
        run.id: name for name, runs in outcomes.succeeded.items() for run in runs if id(run) in kept
    }
    rows = [[*([places[run.id]] if where.remote else []), *_row(run, output)] for run in found]
    columns = ("HOST", *_COLUMNS) if where.remote else _COLUMNS
    summary = f"Total {len(rows)} run{'' if len(rows) == 1 else 's'}"
    if len(rows) == asked.most:
        summary = f"The newest {len(rows)} runs; -a shows more"
    waiting = [
        f"run {run.id} waits in line: place {run.state.place}"
        + (f" ({run.state.reason})" if run.state.reason else "")
        for run in found
        if isinstance(run.state, Waiting)
    ]
    if waiting:
        summary = "\n".join([*(printable(line, 300) for line in waiting), "", summary])
    output.table(columns, rows, summary, yielding=_YIELDING, answered=bool(outcomes.succeeded))
    return where.report(outcomes)


def _row(run: RunInfo, output: Output) -> list[str]:
    end = end_of(run.state)
    return [
        run.id,
        run.label or run.spec.name,
        name_of(run.state) + ("?" if run.note else ""),
        str(run.spec.requirements.gpus),
        output.since(_age(run.spec.submitted.epoch_ns)),
        _took(run),
        "" if end is None else str(end.exit_code),
    ]


def _age(epoch_ns: int) -> float:
    # By our clock and the host's: for people, and the two may differ a little.
    return max(0.0, (time.time_ns() - epoch_ns) / 1e9)


def _took(run: RunInfo) -> str:
    end = end_of(run.state)
    if end is not None:
        return format_duration(round(end.seconds) or 1)
    if isinstance(run.state, Running):
        return format_duration(round(_age(run.state.since.epoch_ns)) or 1)
    return ""


def show_one(where: Where, host: str, details: RunDetails, *, json: bool) -> None:
    """Print one run in full."""
    run = details.run
    if json:
        shown = schema.run(run) | {"directory": details.directory, "log_tail": details.tail}
        hosts = [{"host": host, "ok": True, "runs": [shown]}]
        print_json({"schema": SCHEMA, "verb": "runs info", "hosts": hosts})
        return
    spec, end = run.spec, end_of(run.state)
    lines = {
        "run": run.label_or_id,
        "state": _state(run),
        "note": run.note,
        "command": shlex.join(spec.argv),
        "host": f"{host} ({spec.host})" if where.remote else "",
        "GPUs": str(spec.requirements),
        "tags": ", ".join(run.tags),
        "submitted": f"{Output(timestamp=True).since(_age(spec.submitted.epoch_ns))}"
        + (f" by {spec.submitter}" if spec.submitter else ""),
        "restarts": spec.restarted,
        "took": _took(run),
        "memory": ""
        if end is None or end.usage.memory is None
        else format_memory(end.usage.memory),
        "directory": details.directory,
        "log": f"{run.log_bytes} bytes",
    }
    for key, text in lines.items():
        if text:
            print(f"{key + ':':<11} {printable(text, 2000)}")
    if details.tail:
        print()
        for line in details.tail.splitlines():
            print(f"  {printable(line, 2000)}")


def _state(run: RunInfo) -> str:
    state, end = run.state, end_of(run.state)
    word = name_of(state)
    if isinstance(state, Waiting):
        return f"{word}, place {state.place}" + (f": {state.reason}" if state.reason else "")
    if isinstance(state, (Lost, Stopped)):
        word += f" ({state.why.value})"
    if end is not None:
        word += f", exit code {end.exit_code}"
    if isinstance(state, Failed) and state.why:
        word += f": {state.why}"
    return word
