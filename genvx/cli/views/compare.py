"""Runs side by side: what differs in what was asked, and what became of each."""

from __future__ import annotations

import shlex
from itertools import islice
from typing import TYPE_CHECKING, Any

from genvx.cli.schema.document import print_document
from genvx.cli.schema.runs import plain_run
from genvx.cli.show.output import Output
from genvx.cli.views.reports import shown_metrics, shown_number
from genvx.core.launchers import for_people
from genvx.core.projects.manifest import shown_name
from genvx.core.quantities.ages import format_duration
from genvx.core.quantities.amounts import format_memory
from genvx.core.runs.runcompare import differ, differing_variables, groups, looks_secret
from genvx.core.runs.runstate import end_of, name_of
from genvx.core.text import printable
from genvx.shown.columns import Fitting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from genvx.core.runs.run import Usage
    from genvx.core.runs.runinfo import RunInfo

# Rows for files of projects; --json has all.
_MOST_FILES = 20

# What was asked, by the word that people know it by.
_ASKED: dict[str, Callable[[RunInfo], str]] = {
    "name": lambda run: run.label or run.spec.name,
    "tags": lambda run: ", ".join(run.tags),
    "command": lambda run: shlex.join(for_people(run.spec.argv)),
    "project": lambda run: "" if run.spec.project is None else str(run.spec.project),
    "python": lambda run: "" if run.spec.python is None else str(run.spec.python),
    "setup": lambda run: run.spec.setup,
    "directory": lambda run: run.spec.cwd,
    "GPUs": lambda run: str(run.spec.requirements),
    "strategy": lambda run: run.spec.requirements.strategy.value,
    "time": lambda run: _duration(run.spec.seconds),
    "hold": lambda run: _duration(run.spec.hold),
    "retries": lambda run: str(run.spec.retries),
    "restarts": lambda run: run.spec.restarted,
    "version": lambda run: run.spec.version,
}


def show(
    remote: bool,
    places: Sequence[tuple[str, RunInfo]],
    files: Mapping[bytes, tuple[int | None, ...]],
    output: Output,
    *,
    values: bool,
) -> None:
    """Print runs side by side. files: of their projects, those that differ. values: also those of
    variables, unless they may be secrets.
    """
    runs = [run for _, run in places]
    variables = differing_variables([run.spec for run in runs])
    if output.json:
        _show_json(places, variables, files)
        return
    rows = [
        [word, *cells]
        for word, cells in ((word, [of(run) for run in runs]) for word, of in _ASKED.items())
        if differ(cells)
    ]
    for name, given in variables.items():
        hidden = not values or looks_secret(name)
        cells = [_numbered(each) for each in groups(given)] if hidden else map(_given, given)
        rows.append([f"${name}", *cells])
    rows += [
        [shown_name(name), *("not there" if each is None else f"version {each}" for each in given)]
        for name, given in islice(files.items(), _MOST_FILES)
    ]
    if len(files) > _MOST_FILES:
        rows.append([f"and {len(files) - _MOST_FILES} more files", *("" for _ in runs)])
    rows += _parameters(runs)
    if remote:
        rows.insert(0, ["host", *(host for host, _ in places)])
    became = [[word, *cells] for word, cells in _became(runs).items() if any(cells)]
    became += _reported(runs)
    # An id is a column of its own, and what is long goes on in the next line.
    ids = [run.id for run in runs]
    shown = {row[0] for row in rows}
    same = [word for word, of in _ASKED.items() if word not in shown and of(runs[0])]
    output.table(
        ["", *ids],
        [*rows, *became],
        f"The same: {', '.join(same)}" if same else "",
        fitting=Fitting(wrapping=tuple(ids)),
    )


def _numbered(number: int | None) -> str:
    return "not set" if number is None else f"value {number}"


def _given(text: str | None) -> str:
    return "not set" if text is None else text or "empty"


def _became(runs: Sequence[RunInfo]) -> dict[str, list[str]]:
    ends = [end_of(run.state) for run in runs]

    def each(of: Callable[[Any], str]) -> list[str]:
        return ["" if end is None else of(end) for end in ends]

    return {
        "state": [name_of(run.state) for run in runs],
        "exit code": each(lambda end: str(end.exit_code)),
        "took": each(lambda end: format_duration(round(end.seconds) or 1)),
        "user time": each(lambda end: _duration(end.usage.user)),
        "system time": each(lambda end: _duration(end.usage.system)),
        "memory": each(lambda end: _memory(end.usage.memory)),
        "GPU memory": each(lambda end: _memory(end.usage.gpu_memory)),
        "GPU use": each(
            lambda end: (
                "" if end.usage.gpu_utilization is None else f"{end.usage.gpu_utilization} %"
            )
        ),
        "log": [f"{run.log_bytes} bytes" if run.log_bytes else "" for run in runs],
    }


def _parameters(runs: Sequence[RunInfo]) -> list[list[str]]:
    """A row for each parameter that differs between trials."""
    given = [{} if run.spec.trial is None else run.spec.trial.parameters for run in runs]
    names = dict.fromkeys(name for each in given for name in each)
    rows = [
        [
            printable(name, 60),
            *(shown_number(each[name]) if name in each else "" for each in given),
        ]
        for name in names
    ]
    return [row for row in rows if differ(row[1:])]


def _reported(runs: Sequence[RunInfo]) -> list[list[str]]:
    """A row for each number that one of the runs has reported last."""
    found = [shown_metrics(run) for run in runs]
    names = dict.fromkeys(name for each in found for name in each)
    return [[f"reported {name}", *(each.get(name, "") for each in found)] for name in names]


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds:.1f} s" if seconds < 10 else format_duration(round(seconds))


def _memory(size: int | None) -> str:
    return "" if size is None else format_memory(size)


def _show_json(
    places: Sequence[tuple[str, RunInfo]],
    variables: Mapping[str, tuple[str | None, ...]],
    files: Mapping[bytes, tuple[int | None, ...]],
) -> None:
    runs = [run for _, run in places]
    print_document(
        "runs compare",
        runs=[{"host": host, "run": plain_run(run), "usage": _usage(run)} for host, run in places],
        differs=[word for word, of in _ASKED.items() if differ([of(run) for run in runs])],
        # Numbers stand for equal values: no value of a variable is ever in JSON.
        variables=[
            {"name": name, "values": list(groups(given))} for name, given in variables.items()
        ],
        files=[
            {"name": name.decode("utf-8", "replace"), "versions": list(given)}
            for name, given in files.items()
        ],
    )


def _usage(run: RunInfo) -> dict[str, Any] | None:
    end = end_of(run.state)
    if end is None:
        return None
    usage: Usage = end.usage
    return {
        "user_seconds": usage.user,
        "system_seconds": usage.system,
        "memory_bytes": usage.memory,
        "gpu_memory_bytes": usage.gpu_memory,
        "gpu_utilization_percent": usage.gpu_utilization,
    }
