"""Runs: as a table, one in full, and as JSON."""

from __future__ import annotations

import shlex
import time
from typing import TYPE_CHECKING

from genvx.cli.schema.document import print_document
from genvx.cli.schema.hosts import failed_host
from genvx.cli.schema.runs import plain_run
from genvx.cli.show.output import Output
from genvx.cli.views.reports import parameters_line, shown_metrics
from genvx.core.launchers import for_people
from genvx.core.prelude import prelude_of
from genvx.core.quantities.ages import format_duration
from genvx.core.quantities.amounts import format_memory
from genvx.core.runs.rungang import decisive, exit_code
from genvx.core.runs.runinfo import RunInfo
from genvx.core.runs.runstate import (
    Failed,
    Lost,
    Preparing,
    Running,
    Step,
    Stopped,
    Waiting,
    end_of,
    name_of,
)
from genvx.core.text import printable
from genvx.shown.columns import Fitting

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from genvx.cli.ask.where import Where
    from genvx.cli.schema.document import Plain
    from genvx.core.runs.run import Usage
    from genvx.core.wire.runoperations import ListRuns, RunDetails
    from genvx.fleet.fleet import Fleet
    from genvx.fleet.host import Host

    # A run with the name of its host; of a gang all parts, by rank.
    Parts = tuple[tuple[str, RunInfo], ...]

COLUMNS = ("ID", "NAME", "STATE", "GPUS", "SUBMITTED", "TOOK", "EXIT")
FITTING = Fitting(
    yielding={"NAME": 8, "HOST": 12, "SUBMITTED": 11, "STATE": 9},
    dropped=("SUBMITTED", "TOOK", "GPUS"),
    kept=("ID",),
    coloured=("STATE",),
)


def show(where: Where, fleet: Fleet, output: Output, asked: ListRuns | None = None) -> int:
    """Ask and print; return the exit code. asked: which runs; the newest by default."""
    from genvx.core.runs.runselect import NEWEST
    from genvx.core.wire.runoperations import ListRuns

    asked = asked or ListRuns(most=NEWEST, copies=not where.remote)
    outcomes = where.ask(fleet, _question(asked))
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
    # Imported here: JSON has each run as it is.
    from genvx.fleet.detaching import runs

    groups = runs.grouped(outcomes, asked, lambda every: where.ask(fleet, _question(every)))
    found = groups[: asked.most]
    rows = [[*([_hosts(parts)] if where.remote else []), *row(parts, output)] for parts in found]
    columns = ("HOST", *COLUMNS) if where.remote else COLUMNS
    summary = f"Total {len(rows)} run{'' if len(rows) == 1 else 's'}"
    if len(rows) == asked.most:
        summary = f"The newest {len(rows)} runs; -a shows more"
    waiting = [
        f"run {run.id} waits in line: place {run.state.place}"
        + (f" ({run.state.reason})" if run.state.reason else "")
        for ((_, run), *_) in found
        if isinstance(run.state, Waiting) and run.pulled is None
    ]
    if waiting:
        summary = "\n".join([*(printable(line, 300) for line in waiting), "", summary])
    output.table(columns, rows, summary, fitting=FITTING, answered=bool(outcomes.succeeded))
    return where.report(outcomes)


def _question(asked: ListRuns) -> Callable[[Host], tuple[RunInfo, ...]]:
    return lambda host: host.answer(asked)


def _decisive(parts: Parts) -> RunInfo:
    return decisive([run for _, run in parts])


def _hosts(parts: Parts) -> str:
    return parts[0][0] + (f" +{len(parts) - 1}" if len(parts) > 1 else "")


def row(parts: Parts, output: Output) -> list[str]:
    """Return the row of a run."""
    run = _decisive(parts)
    runs = [each for _, each in parts]
    code = exit_code(runs) if any(end_of(each.state) for each in runs) else None
    return [
        run.id,
        run.label or run.spec.name,
        name_of(run.state) + _copied_from(run) + ("?" if any(each.note for each in runs) else ""),
        str(sum(each.spec.requirements.gpus for each in runs)),
        output.since(_age(parts[0][1].spec.submitted.epoch_ns)),
        _took(run),
        "" if code is None else str(code),
    ]


def _age(epoch_ns: int) -> float:
    # By our clock and the host's: for people, and the two may differ a little.
    return max(0.0, (time.time_ns() - epoch_ns) / 1e9)


def _took(run: RunInfo) -> str:
    end = end_of(run.state)
    if end is not None:
        return format_duration(round(end.seconds) or 1)
    if isinstance(run.state, Running):
        age = _age(run.state.since.epoch_ns)
        if run.pulled is not None:
            age -= _age(run.pulled.epoch_ns)  # it has run so long when it was copied
        return format_duration(max(1, round(age)))
    return ""


def _copied_from(run: RunInfo) -> str:
    """The host of a copy, behind its state."""
    return "" if run.pulled is None else f" ({run.pulled.host})"


def _copy(run: RunInfo) -> str:
    """Where a copy came from, when, and what was copied."""
    if run.pulled is None:
        return ""
    pulled = run.pulled
    since = Output(timestamp=True).since(_age(pulled.epoch_ns))
    only = f", only {' '.join(pulled.only)}" if pulled.only else ""
    return f"of {run.spec.host or pulled.host} ({pulled.host}), {since}{only}"


def show_gang(where: Where, parts: Sequence[tuple[str, RunDetails]], *, json: bool) -> None:
    """Print the parts of a gang: what they have in common, each part, and the end of the log of the
    one whose state tells most.
    """
    if json:
        hosts = [{"host": host, "ok": True, "runs": [_plain(part)]} for host, part in parts]
        print_document("runs info", hosts=hosts)
        return
    parts = [
        (host if each.run.pulled is None else each.run.pulled.host, each) for host, each in parts
    ]
    told = decisive([details.run for _, details in parts])
    host, details = next(each for each in parts if each[1].run is told)
    # The first part has the debug port of all.
    _print(_lines(where, host, details, len(parts)) | _debug_port(parts[0][1].run))
    print("parts:")
    width = max(len(host) for host, _ in parts)
    for host, part in parts:
        run = part.run
        note = f"; {run.note}" if run.note else ""
        print(f"  {run.rank:>3}  {host:<{width}}  {printable(_state(run) + note, 2000)}")
    _print_tail(details, f"node {told.spec.part.rank}" if told.spec.part else "")


def show_one(where: Where, host: str, details: RunDetails, *, json: bool) -> None:
    """Print one run in full."""
    if json:
        hosts = [{"host": host, "ok": True, "runs": [_plain(details)]}]
        print_document("runs info", hosts=hosts)
        return
    _print(_lines(where, host, details))
    _print_tail(details)


def _plain(details: RunDetails) -> Plain:
    return plain_run(details.run) | {
        "directory": details.directory,
        "log_tail": details.tail,
    }


def _lines(where: Where, host: str, details: RunDetails, nodes: int = 1) -> dict[str, str]:
    run = details.run
    spec, end = run.spec, end_of(run.state)
    gpus = str(spec.requirements)
    return {
        "run": run.label_or_id,
        "state": _state(run),
        "note": run.note,
        "command": shlex.join(for_people(spec.argv)),
        "before it": ""
        if (first := prelude_of(spec.argv)) is None or (spec.python and spec.python.typed)
        else f"{first.key} {first.text}",
        "setup": spec.setup,
        "project": "" if spec.project is None else str(spec.project),
        "copy": _copy(run),
        "python": "" if spec.python is None else str(spec.python),
        "container": "" if spec.container is None else str(spec.container),
        "host": f"{host} ({spec.host})" if where.remote and nodes == 1 else "",
        "GPUs": f"{gpus} on each of {nodes} hosts" if nodes > 1 else gpus,
        "tags": ", ".join(run.tags),
        "submitted": f"{Output(timestamp=True).since(_age(spec.submitted.epoch_ns))}"
        + (f" by {spec.submitter}" if spec.submitter else ""),
        "restarts": spec.restarted,
        "tells": ", ".join(each.label for each in spec.notifiers),
        "took": _took(run),
        "parameters": "" if spec.trial is None else parameters_line(spec.trial.parameters),
        "reported": ", ".join(f"{name} {text}" for name, text in shown_metrics(run).items()),
        **({} if end is None else _used(end.usage)),
        **_debug_port(run),
        "directory": details.directory,
        "log": f"{run.log_bytes} bytes",
    }


def _debug_port(run: RunInfo) -> dict[str, str]:
    """Lines about the debug port of a run that has one."""
    asked, port = run.spec.debug_port, run.open_port
    if asked is None:
        return {}
    found = {"debug keys": ", ".join(map(str, asked.public_keys))}
    if port is not None:
        found["debug port"] = port.line(run.id)
        found["host key"] = f"{port.server_key.fingerprint} ({port.server_key.family})"
        found["known as"] = port.known_host(run.id)
    return found


def _print(lines: dict[str, str]) -> None:
    for key, text in lines.items():
        if text:
            print(f"{key + ':':<11} {printable(text, 2000)}")


def _print_tail(details: RunDetails, whose: str = "") -> None:
    if details.tail:
        print(f"\n{whose}:" if whose else "")
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
    word = name_of(state) + _copied_from(run)
    if isinstance(state, Waiting):
        return f"{word}, place {state.place}" + (f": {state.reason}" if state.reason else "")
    if isinstance(state, (Lost, Stopped)):
        word += f" ({state.why.value})"
    if end is not None:
        word += f", exit code {end.exit_code}"
    if isinstance(state, Preparing) and state.progress:
        word += f" ({state.step.value}): {state.progress}"
    if isinstance(state, Failed) and state.why:
        # Why a command cannot be started says so itself.
        step = f" ({state.step.value})" if state.step not in (None, Step.START) else ""
        word += f"{step}: {state.why}"
    return word
