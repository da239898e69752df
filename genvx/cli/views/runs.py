"""Runs: as a table, one in full, and as JSON."""

from __future__ import annotations

import shlex
import time
from typing import TYPE_CHECKING, Any

from genvx.cli.schema.document import print_document
from genvx.cli.schema.hosts import failed_host
from genvx.cli.schema.runs import plain_run
from genvx.cli.show.output import Output
from genvx.core.ages import format_duration
from genvx.core.amounts import format_memory
from genvx.core.runinfo import RunInfo
from genvx.core.runselect import newest_first
from genvx.core.runstate import (
    Failed,
    Lost,
    Running,
    Stopped,
    Waiting,
    end_of,
    is_over,
    name_of,
)
from genvx.core.text import printable
from genvx.core.wire.runoperations import FindRuns

if TYPE_CHECKING:
    from genvx.cli.ask.where import Where
    from genvx.core.run import Usage
    from genvx.core.wire.runoperations import ListRuns, RunDetails
    from genvx.fleet.fleet import Fleet

_COLUMNS = ("ID", "NAME", "STATE", "GPUS", "SUBMITTED", "TOOK", "EXIT")
_YIELDING = {"NAME": 8, "HOST": 12, "SUBMITTED": 11, "STATE": 9}
_LOOK = 0.1


def show(where: Where, fleet: Fleet, asked: ListRuns, output: Output) -> int:
    """Ask and print; return the exit code."""
    outcomes = where.ask(fleet, lambda host: host.answer(asked))
    if output.json:
        hosts = [
            failed_host(host.name, outcomes.failed[host.name])
            if host.name in outcomes.failed
            else {
                "host": host.name,
                "ok": True,
                "runs": [plain_run(run) for run in outcomes.succeeded[host.name]],
            }
            for host in fleet.hosts
        ]
        output.document("runs", hosts)
        return where.report(outcomes)
    places = {run.id: name for name, runs in outcomes.succeeded.items() for run in runs}
    found = newest_first(run for runs in outcomes.succeeded.values() for run in runs)[: asked.most]
    rows = [[*([places[run.id]] if where.remote else []), *_row(run, output)] for run in found]
    columns = ("HOST", *_COLUMNS) if where.remote else _COLUMNS
    summary = f"Total {len(rows)} run{'' if len(rows) == 1 else 's'}"
    if len(rows) == asked.most:
        summary = f"The newest {len(rows)} runs; -a shows more"
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
        shown = plain_run(run) | {"directory": details.directory, "log_tail": details.tail}
        hosts = [{"host": host, "ok": True, "runs": [shown]}]
        print_document("runs info", hosts=hosts)
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
        "took": _took(run),
        **({} if end is None else _used(end.usage)),
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


def _used(usage: Usage) -> dict[str, str]:
    """Lines about what a run has used, as far as it is known."""
    found = {}
    if usage.user is not None and usage.system is not None:
        found["CPU time"] = f"{usage.user:.1f} s of its own, {usage.system:.1f} s in the kernel"
    if usage.memory is not None:
        found["memory"] = f"{format_memory(usage.memory)} at most"
    gpu = []
    if usage.gpu_memory is not None:
        gpu.append(f"{format_memory(usage.gpu_memory)} at most of one")
    if usage.gpu_utilization is not None:
        gpu.append(f"{usage.gpu_utilization}% busy on average")
    if gpu:
        found["GPU use"] = ", ".join(gpu)
    return found


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


def ended(host: Any, run: RunInfo, *, wait: bool) -> str:
    """What to say of a run that was told to stop; waits for its end, if that is wanted."""
    if is_over(run.state):
        return f"Run {run.label_or_id} has ended already ({name_of(run.state)})"
    while wait:
        (found,) = host.answer(FindRuns(run.id)) or (None,)
        # Root sees a run of another user only while it lives.
        if found is None or is_over(found.state):
            return f"Stopped run {run.label_or_id}"
        time.sleep(_LOOK)
    return f"Stopping run {run.label_or_id}"
