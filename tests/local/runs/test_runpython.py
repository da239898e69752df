"""Environments that are made for runs: once, by one of them, whole or not at all.

The installer is a stand-in for uv that does what the requirements say, so it can hang and fail;
tests/cli/runs/test_python.py has a real one.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys

import pytest

from genvx.core.prelude import Prelude, with_prelude
from genvx.core.projects.python import Python, PythonKind
from genvx.core.requests.requirements import Requirements
from genvx.core.runs.run import Moment, RunSpec
from genvx.core.runs.runstate import Failed, Preparing, Step, name_of
from genvx.core.value import replace
from genvx.core.wire.plain import dumps
from genvx.core.wire.runcodec import SPEC
from genvx.core.wire.runoperations import StopRun
from genvx.core.wire.treeoperations import CleanTrees
from genvx.errors import InvalidInput, StateError, TreeMissing
from genvx.local.python import installing
from genvx.local.python.travelling import python_for
from genvx.local.runs import lock, runpython
from genvx.local.trees.keeping import keep
from genvx.local.trees.project import Gathered
from tests.helpers import alive, until
from tests.local.python.wheels import fake_uv
from tests.local.runs.test_runs import ends_as, log_of


@pytest.fixture
def code(short_tmp, host, monkeypatch):
    tools = fake_uv(short_tmp / "tools", sys.executable)
    ours = os.path.dirname(sys.executable)
    monkeypatch.setenv("PATH", f"{tools}:{ours}:{os.environ['PATH']}")
    monkeypatch.setenv("NOTED", str(short_tmp / "noted"))
    (short_tmp / "code").mkdir()
    return short_tmp / "code"


@pytest.fixture
def ask(code, host):
    """What is asked for a run of the project, whose trees are here."""

    def spec(*argv, requirements="true", **more):
        (code / "requirements.txt").write_text(requirements)
        project = Gathered(str(code)).read(os.environ)
        python, trees = python_for(project, os.environ)
        for tree in (project, *trees):
            keep(os.environ, tree, lambda done, total: None)
        fields = {"project": project.recorded, "python": python, **more}
        words = argv or ("true",)
        return RunSpec(os.urandom(4).hex(), words, Requirements(0), "", "", Moment(0, 0), **fields)

    return spec


def installations(code):
    try:
        return len((code.parent / "noted").read_text().splitlines())
    except FileNotFoundError:
        return 0


def environments(code):
    place = code.parent / "runs" / ".envs"
    return [each for each in os.listdir(place) if len(each) == 32] if place.exists() else []


# Many at once cost little if the supervisors are copies of one small process, as those of the agent
# are; a program of pytest's size would be copied, too.
_TWENTY = """
import sys
from genvx.core.wire.plain import loads
from genvx.core.wire.runcodec import SPEC
from genvx.core.value import replace
from genvx.local.machine import Machine
from genvx.local.runs.launch import submit
spec = SPEC.read(loads(sys.stdin.buffer.read()))
for number in range(20):
    submit(Machine(), replace(spec, id="%08x" % (number + 1)), fork=True)
"""


def test_twenty_runs_at_once_make_one_environment_and_later_ones_none(code, ask, start, catalog):
    spec = ask("sh", "-c", "command -v python", requirements="sleep 1")
    subprocess.run([sys.executable, "-c", _TWENTY], input=dumps(SPEC.write(spec)), check=True)
    runs = [f"{number + 1:08x}" for number in range(20)]
    until(lambda: all(name_of(catalog.find(run).state) == "completed" for run in runs))
    assert installations(code) == 1
    (name,) = environments(code)
    place = code.parent / "runs"
    logs = [(place / run / "log").read_text().splitlines() for run in runs]
    assert {log[-1] for log in logs} == {f"{place}/.envs/{name}/bin/python"}
    assert sum("uv installs" in log for log in logs) == 1
    later = start(ask("python", "-c", "print(6 * 7)", requirements="sleep 1"))
    ends_as(catalog, later, "completed")
    assert installations(code) == 1
    assert (place / later.id / "log").read_text() == "42\n"


HANGS = "setsid sleep 7654 & echo $! >$NOTED.pid; trap '' TERM; sleep 7655"


def hanging(code):
    noted = code.parent / "noted.pid"
    until(noted.exists)
    return int(until(noted.read_text))


def test_an_installation_that_is_stopped_leaves_no_process_and_no_environment(
    code, ask, start, host, catalog
):
    run = start(ask(requirements=HANGS))
    assert isinstance(run.state, Preparing)
    assert run.state.step is Step.PYTHON
    below = hanging(code)
    host.answer(StopRun(run.id, 10.0))
    ends_as(catalog, run, "stopped")
    assert (alive(below), environments(code)) == (False, [])


def test_a_killed_supervisor_leaves_no_process_and_the_next_run_makes_it_anew(
    code, ask, start, host, catalog
):
    run = start(ask(requirements=HANGS))
    below = hanging(code)
    waiting = start(ask(requirements=HANGS))
    until(lambda: "another run" in catalog.find(waiting.id).state.progress)
    (one,) = (each for each in lock.living(host.state) if each.directory.endswith(run.id))
    (code.parent / "noted.pid").unlink()
    os.kill(one.pid, signal.SIGKILL)
    until(lambda: not alive(below))
    until(lambda: name_of(catalog.find(run.id).state) == "lost")
    # The one that waited takes it over, and what it is made in is new.
    below = hanging(code)
    host.answer(StopRun(waiting.id, 10.0))
    until(lambda: not alive(below) and environments(code) == [])


def test_a_failure_says_the_last_lines_and_is_shared_by_those_who_have_waited(
    code, ask, start, host, catalog
):
    text = "until [ -e $NOTED.go ]; do sleep 0.1; done; echo error: no such package; exit 3"
    first = start(ask(requirements=text))
    waiting = start(ask(requirements=text))
    until(lambda: "another run" in catalog.find(waiting.id).state.progress)
    (code.parent / "noted.go").write_text("")
    for run in (first, waiting):
        state = ends_as(catalog, run, "failed").state
        assert state == Failed(state.since, step=Step.PYTHON, why="error: no such package")
    assert (installations(code), environments(code)) == (1, [])
    assert "another run could not make" in log_of(host, waiting)
    # A later one tries again.
    (code.parent / "noted.go").unlink()
    again = start(ask(requirements=text))
    until(lambda: installations(code) == 2)
    host.answer(StopRun(again.id, 10.0))


def test_what_a_run_uses_stays_and_the_rest_is_cleaned(code, ask, start, host, catalog):
    run = start(ask("sleep", "7656"))
    until(lambda: name_of(catalog.find(run.id).state) == "running")
    kept = host.answer(CleanTrees(0.0))
    assert (kept.environments_gone.trees, kept.environments_stay.trees) == (0, 1)
    host.answer(StopRun(run.id, 1.0))
    ends_as(catalog, run, "stopped")
    # Its supervisor lives a moment longer than that is known.
    until(lambda: host.answer(CleanTrees(0.0, only_say=True)).environments_gone.trees == 1)
    assert host.answer(CleanTrees(0.0)).environments_gone.trees == 1
    assert os.listdir(code.parent / "runs" / ".envs") == []


def test_a_run_waits_for_nothing_that_is_not_here(code, ask, start, host, monkeypatch):
    spec = ask(requirements="echo x")
    shutil.rmtree(code.parent / "runs" / ".trees")
    with pytest.raises(TreeMissing):
        start(spec)
    monkeypatch.setenv("PATH", f"{os.path.dirname(sys.executable)}:/usr/bin:/bin")
    monkeypatch.setattr(
        runpython,
        "installer",
        lambda found, environ: installing.installer(found._replace(venv=False), environ),
    )
    with pytest.raises(StateError, match="has no module venv"):
        start(ask(requirements="echo x"))


def test_conda_is_activated_before_the_setup_line_and_in_place_of_what_a_remote_names(
    short_tmp, ask, start, host, catalog, monkeypatch
):
    hook = short_tmp / "home/miniconda3/etc/profile.d/conda.sh"
    hook.parent.mkdir(parents=True)
    hook.write_text('conda() { [ "$2" = torch ] && export CONDA_DEFAULT_ENV="$2"; }\n')
    monkeypatch.setenv("HOME", str(short_tmp / "home"))
    remote = with_prelude(Prelude("venv-activate", "exit 9"), ("sh", "-c", "echo $BOTH"))
    setup = "BOTH=$CONDA_DEFAULT_ENV.; export BOTH"

    def ends(name):
        python = Python(PythonKind.CONDA, name, typed=True)
        run = start(ask(*remote, python=python, setup=setup))
        until(lambda: name_of(catalog.find(run.id).state) in ("completed", "failed"))
        return log_of(host, run)

    assert ends("torch") == "torch.\n"
    assert ends("jax") == "genvx: conda does not activate jax\n"


def test_a_remote_that_names_a_python_comes_before_one_that_nobody_has_typed(
    code, ask, start, host, catalog
):
    remote = with_prelude(
        Prelude("venv-activate", "export THEIRS=yes"), ("sh", "-c", "echo $THEIRS")
    )
    run = start(ask(*remote))
    ends_as(catalog, run, "completed")
    assert (log_of(host, run), installations(code)) == ("yes\n", 0)
    typed = replace(run.spec.python, typed=True)
    run = start(ask(*remote, python=typed))
    ends_as(catalog, run, "completed")
    assert (log_of(host, run).splitlines()[-1], installations(code)) == ("", 1)


def test_a_path_is_an_interpreter_or_its_directory(short_tmp, code, ask, start, host, catalog):
    there = short_tmp / "opt"
    there.mkdir()
    (there / "python3.99").write_text("#!/bin/sh\necho I am odd\n")
    (there / "python3.99").chmod(0o755)

    def says(where):
        python = Python(PythonKind.PATH, where, typed=True)
        run = start(ask("python3", "-c", "print('I am usual')", python=python))
        ends_as(catalog, run, "completed")
        return log_of(host, run)

    assert says(f"{there}/python3.99") == "I am odd\n"
    assert says(os.path.dirname(sys.executable)) == "I am usual\n"
    with pytest.raises(InvalidInput, match="no Python in"):
        says("/nowhere/bin")
