"""Operations on runs with one reply: a function each; see genvx/local/questions.py."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Callable, Optional

from genvx.core.wire import runoperations
from genvx.core.wire.runoperations import Disposal, RunDetails
from genvx.errors import StateError
from genvx.local.runs import projectdiff
from genvx.local.runs.catalog import RunCatalog
from genvx.local.runs.notify import kept
from genvx.local.runs.places import WORK, place_of, shown_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.projects.project import Project
    from genvx.core.runs.runinfo import RunInfo
    from genvx.core.wire.operation import Operation
    from genvx.local.machine import Machine


def submit(host: Machine, asked: runoperations.SubmitRun) -> RunInfo:
    """The run as it was accepted."""
    from genvx.local.runs.launch import submit as launch

    return launch(host, asked.spec, patience=asked.patience, tags=asked.tags, fork=_small())


def _small() -> bool:
    # A program is large and may have threads: its run gets a fresh Python. The agent is small, has
    # one thread, and may be nowhere but in memory.
    return "genvx.agent" in sys.modules


def part(host: Machine, asked: runoperations.SubmitPart) -> runoperations.AcceptedPart:
    """A part of a gang that waits for the others."""
    from genvx.local.runs.launch import submit as launch

    run = launch(host, asked.spec, tags=asked.tags, fork=_small(), meeting=asked.meeting)
    with RunCatalog(host).open(run) as directory:
        meeting = directory.meeting()
    return runoperations.AcceptedPart(run, meeting.port, meeting.linked)


def decide(host: Machine, asked: runoperations.DecideRun) -> RunInfo:
    """A part of a gang that was told to start, or to be gone."""
    from genvx.local.runs.gang.member import decide as tell

    return tell(host, asked)


def newest(host: Machine, asked: runoperations.ListRuns) -> tuple[RunInfo, ...]:
    """The runs of the caller here, the newest first."""
    catalog = RunCatalog(host)
    return tuple(
        catalog.newest(asked.narrowed, asked.most, deleted=asked.deleted, copies=asked.copies)
    )


def candidates(host: Machine, asked: runoperations.FindRuns) -> tuple[RunInfo, ...]:
    """The runs here that may be meant."""
    found = RunCatalog(host).candidates(
        asked.wanted, deleted=asked.deleted, others=asked.others, copies=asked.copies
    )
    return tuple(found[: runoperations.MOST_RUNS])


def info(host: Machine, asked: runoperations.ShowRun) -> RunDetails:
    """One run, and where it is."""
    catalog = RunCatalog(host)
    run = catalog.find(asked.run)
    with catalog.open(run) as directory:
        path = shown_path(directory.path)
        work = os.path.join(directory.path, WORK)
        if run.pulled is None:
            work = place_of(run.spec, directory.path, host.environ)
        work = shown_path(work)
        diff = projectdiff.read(directory) if asked.diff else b""
        told = kept.read(directory) if asked.notifiers else ()
    files = _files(host, run.spec.project) if asked.files else b""
    return RunDetails(run, path, catalog.tail(run, asked.lines), work, diff, files, told)


def _files(host: Machine, project: Optional[Project]) -> bytes:
    """The manifest of a project; nothing where it is not stored any more, or is too long."""
    if project is None:
        return b""
    from genvx.local.trees.store import TreeStore, trees_root

    try:
        with TreeStore(trees_root(host.environ)).open(project.tree) as tree:
            files = tree.manifest.to_bytes()
    except StateError:
        return b""
    return files if len(files) <= runoperations.MOST_FILES else b""


def stop(host: Machine, asked: runoperations.StopRun) -> RunInfo:
    """The run that was told to end."""
    return RunCatalog(host).stop(asked.run, asked.grace, force=asked.force)


def withdraw(host: Machine, asked: runoperations.WithdrawRun) -> RunInfo:
    """The run that will not start here."""
    from genvx.local.runs.withdrawal import withdraw as take_out

    return take_out(host, asked.run)


def mark(host: Machine, asked: runoperations.MarkRun) -> RunInfo:
    """The run with its new marks."""
    return RunCatalog(host).mark(asked.run, asked.label, asked.add, asked.remove)


def dispose(host: Machine, asked: runoperations.DisposeOfRun) -> RunInfo:
    """The run that was moved or deleted."""
    catalog = RunCatalog(host)
    if asked.how is Disposal.DELETE:
        return catalog.delete(asked.run)
    if asked.how is Disposal.RESTORE:
        return catalog.restore(asked.run)
    return catalog.purge(asked.run)


def python(host: Machine, asked: runoperations.FindPython) -> runoperations.PythonStanding:
    """How it stands with an environment."""
    from genvx.local.runs.runpython import standing

    there, installer = standing(host, asked.python)
    return runoperations.PythonStanding(there, installer)


RUN_ANSWERS: Mapping[type[Operation[Any]], Callable[[Machine, Any], Any]] = {
    runoperations.SubmitRun: submit,
    runoperations.SubmitPart: part,
    runoperations.DecideRun: decide,
    runoperations.ListRuns: newest,
    runoperations.FindRuns: candidates,
    runoperations.ShowRun: info,
    runoperations.FindPython: python,
    runoperations.StopRun: stop,
    runoperations.WithdrawRun: withdraw,
    runoperations.MarkRun: mark,
    runoperations.DisposeOfRun: dispose,
}
