"""A run that was withdrawn is started anew only when it can be nowhere else."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from genvx.core.projects.project import Project
from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.core.runs.run import Moment, RunSpec
from genvx.core.runs.runinfo import RunInfo
from genvx.core.runs.runselect import find, without_moved
from genvx.core.runs.runstate import Stopped, StopReason, Waiting
from genvx.core.wire.runoperations import ListRuns
from genvx.errors import HostUnreachable, InvalidInput
from genvx.fleet.detaching import moving
from genvx.fleet.detaching.submission import spec_of
from genvx.fleet.fleet import Fleet
from genvx.testing import FakeHost, Played

SPEC = RunSpec("abcd1234", ("x",), Requirements(1), "m", "h", Moment(1, 1), name="x")


def moved(seconds, why=StopReason.MOVED):
    at = round(seconds * 10**9)
    return RunInfo(SPEC, Stopped(Moment(at, at), why, 0))


def host(seconds):
    return SimpleNamespace(snapshot=lambda: SimpleNamespace(boottime_ns=seconds * 10**9))


@pytest.mark.parametrize(
    ("now", "failed", "said"),
    [
        (105, (), "was withdrawn 5 s ago, and may be on its way to another host; try again in 55"),
        (161, (), None),
        (161, ("b",), "may be on a host that did not answer (b)"),
        (5, (), None),  # the host was started anew since
    ],
)
def test_a_run_that_may_be_elsewhere_is_not_started_anew(now, failed, said):
    if said is None:
        moving.require_nowhere(host(now), moved(100), failed)
        return
    with pytest.raises(InvalidInput) as refused:
        moving.require_nowhere(host(now), moved(100), failed)
    assert said in str(refused.value)


def test_a_run_that_was_just_stopped_is_started_anew_at_once():
    moving.require_nowhere(host(101), moved(100, StopReason.ASKED), ("b",))


def test_what_a_run_has_left_behind_is_not_shown_once_it_has_arrived():
    arrived = RunInfo(SPEC, Waiting(Moment(9, 9), 1))
    assert without_moved([moved(1), arrived, moved(2)]) == [arrived]
    assert without_moved([moved(1), moved(2)]) == [moved(2)]
    assert find([moved(1), arrived], "x") is arrived


def test_a_run_with_a_project_moves_past_a_host_that_does_not_answer():
    project = Project("0f" * 32, "p", 2, 3, "c0ffee", False)
    hosts = [FakeHost(name, 1, script=lambda spec: Played(code=None)) for name in "abc"]
    for each in hosts:
        each.runs.trees[project.tree] = None
    fleet = Fleet(hosts)
    source = fleet.run("x", gpus=1, detach=True).host
    ask = Ask(Requirements(gpus=1), "")
    run = source.submit(spec_of(["x"], ask, project=project), patience=600)
    seen = fleet.snapshot()
    gone, _ = moving.room_elsewhere(run.spec, source.name, seen, "abc")
    fleet.host(gone).error = HostUnreachable("gone", kind="network")
    moving.move(fleet, source, run, seen, "abc")
    (there,) = {"a", "b", "c"} - {source.name, gone}
    assert [each.id for each in fleet.host(there).answer(ListRuns())] == [run.id]
