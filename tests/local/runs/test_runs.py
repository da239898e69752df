"""Runs on this machine: real supervisors, commands that do not want to end, and what is said of a
run when something of it was killed.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from genvx.core.requests.requirements import Requirements
from genvx.core.runs.run import HoldWhen, Moment, RunSpec
from genvx.core.runs.runselect import Filter
from genvx.core.runs.runstate import name_of
from genvx.errors import CommandNotFound, InvalidInput, NoCapacity, UnknownRun
from genvx.local import processes
from genvx.local.running.hold import LocalHold
from genvx.local.runs import lock
from tests.helpers import ROOT, alive, genvx_env, until


def asked(*argv, gpus=1, **more):
    return RunSpec(os.urandom(4).hex(), argv, Requirements(gpus), "", "", Moment(0, 0), **more)


def shell(line, **more):
    return asked("sh", "-c", line, **more)


def state_of(catalog, run):
    return name_of(catalog.find(run.id).state)


def ends_as(catalog, run, state):
    until(lambda: state_of(catalog, run) == state, f"{state}: {catalog.find(run.id)}")
    return catalog.find(run.id)


def log_of(host, run):
    return Path(host.environ["GENVX_RUNS_DIR"], run.id, "log").read_text()


def free(host):
    return len(host.snapshot().available)


def test_a_run_is_accepted_as_running_and_ends_with_its_code_and_log(host, start, catalog):
    run = start(shell('echo "$CUDA_VISIBLE_DEVICES $GENVX_RUN_ID"; echo err >&2; exit 7'))
    assert name_of(run.state) == "running"
    ended = ends_as(catalog, run, "failed")
    assert ended.state.end.exit_code == 7
    (uuid,) = run.state.devices
    assert log_of(host, run) == f"{uuid} {run.id}\nerr\n"
    until(lambda: free(host) == 2)


_SUBMITTER = """
import os, signal, sys
from genvx.local.host import LocalHost
from genvx.local.runs.launch import submit
from genvx.local.runs.shelf import RunShelf
sys.path.insert(0, {root!r})
from tests.local.runs.test_runs import shell
print(submit(LocalHost(), shell({line!r}), fork={fork}).id, flush=True)
os.killpg(0, signal.SIGKILL)
"""


@pytest.mark.parametrize("fork", [False, True])
def test_a_run_ends_well_when_the_group_of_its_submitter_is_killed(host, catalog, short_tmp, fork):
    go = short_tmp / "go"
    line = f"echo first; until [ -e {go} ]; do sleep 0.01; done; echo last; exit 3"
    code = _SUBMITTER.format(root=str(ROOT), line=line, fork=fork)
    killed = subprocess.run(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        env=genvx_env(),
        start_new_session=True,
        timeout=60,
        check=False,
    )
    # A descriptor of ours in the supervisor would keep this from being read to its end.
    assert killed.returncode == -signal.SIGKILL
    run = catalog.find(killed.stdout.decode().strip())
    go.touch()
    ended = ends_as(catalog, run, "failed")
    assert ended.state.end.exit_code == 3
    assert log_of(host, run) == "first\nlast\n"


_TREE = """
trap '' TERM
python3 -c '
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for descriptor in range(3, 256):
            try: os.close(descriptor)
            except OSError: pass
        open("{place}", "w").write(str(os.getpid()))
        while True:
            if os.fork() == 0: time.sleep(0.2); os._exit(0)
            time.sleep(0.05)
'
sleep 1000 & wait
"""


def test_stop_ends_a_tree_of_processes_that_do_not_want_to_end(host, start, catalog, short_tmp):
    place = short_tmp / "pid"
    run = start(shell(_TREE.format(place=place), grace=0.3))
    pid = int(str(until(lambda: place.exists() and place.read_text())))
    catalog.stop(run.id)
    ended = ends_as(catalog, run, "stopped")
    assert not alive(pid)
    assert ended.state.why.value == "asked"
    assert free(host) == 2  # no later than its end is shown


@pytest.mark.parametrize(
    "line",
    [
        "trap 'touch {asked}' TERM; echo on; while :; do sleep 0.01; done",
        "(trap 'touch {asked}' TERM; echo on; while :; do sleep 0.01; done) & sleep 1000",
    ],
    ids=["the command", "what it left behind"],
)
def test_a_forced_stop_ends_the_grace_of_one_before_it(host, start, catalog, short_tmp, line):
    asked_to = short_tmp / "asked"
    run = start(shell(line.format(asked=asked_to)))
    until(lambda: log_of(host, run).startswith("on\n"))
    catalog.stop(run.id, 3600)
    until(asked_to.exists)
    # One that would leave it more time changes nothing.
    catalog.stop(run.id, 7200)
    assert state_of(catalog, run) == "running"
    catalog.stop(run.id, force=True)
    assert ends_as(catalog, run, "stopped").state.why.value == "asked"
    assert free(host) == 2


def test_a_run_whose_supervisor_was_killed_is_shown_as_that_and_can_be_stopped(
    host, start, catalog
):
    run = start(asked("sleep", "1000"))
    supervisor = lock.supervision_of(host.state, os.getuid(), run.id)
    os.kill(supervisor.pid, signal.SIGKILL)
    until(lambda: not alive(supervisor.pid))
    found = catalog.find(run.id)
    assert name_of(found.state) == "running"
    assert "nobody supervises it" in found.note
    assert free(host) == 1
    catalog.stop(run.id)
    assert state_of(catalog, run) == "lost"
    assert not alive(run.state.pid)
    assert free(host) == 2


def test_a_forced_stop_asks_nobody_first_also_where_nobody_supervises(
    host, start, catalog, short_tmp
):
    asked_to = short_tmp / "asked"
    run = start(shell(f"trap 'touch {asked_to}' TERM; echo on; while :; do sleep 0.01; done"))
    until(lambda: log_of(host, run) == "on\n")
    supervisor = lock.supervision_of(host.state, os.getuid(), run.id)
    os.kill(supervisor.pid, signal.SIGKILL)
    until(lambda: not alive(supervisor.pid))
    catalog.stop(run.id, force=True)
    assert not alive(run.state.pid)
    assert not asked_to.exists()


def test_a_run_of_an_earlier_boot_is_lost(host, start, catalog, monkeypatch):
    run = start(asked("sleep", "1000"))
    monkeypatch.setattr(processes, "_known_boot", ["another"])
    found = catalog.find(run.id)
    assert (name_of(found.state), found.state.why.value) == ("lost", "reboot")


def test_an_end_that_cannot_be_written_is_not_invented_and_is_written_later(
    host, start, catalog, short_tmp
):
    go = short_tmp / "go"
    run = start(shell(f"until [ -e {go} ]; do sleep 0.01; done; exit 3"))
    supervisor = lock.supervision_of(host.state, os.getuid(), run.id)
    # It can write no byte to any file, as on a full disk.
    _, most = resource.prlimit(supervisor.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(supervisor.pid, resource.RLIMIT_FSIZE, (0, most))
    go.touch()
    until(lambda: free(host) == 2)
    assert state_of(catalog, run) == "running"
    resource.prlimit(supervisor.pid, resource.RLIMIT_FSIZE, (most, most))
    assert ends_as(catalog, run, "failed").state.end.exit_code == 3


def test_an_end_is_known_when_the_supervisor_dies_just_after_it_has_given_the_gpus_back(
    host, start, catalog, monkeypatch
):
    def release(hold, real=LocalHold.release):
        real(hold)
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(LocalHold, "release", release)
    run = start(shell("sleep 0.2; exit 7"), fork=True)  # a copy of us, and of what was patched
    assert ends_as(catalog, run, "failed").state.end.exit_code == 7
    assert free(host) == 2


def test_a_held_run_whose_supervisor_was_killed_keeps_the_end_of_its_command(host, start, catalog):
    run = start(shell("exit 5", hold=1000))
    ends_as(catalog, run, "held")
    os.kill(lock.supervision_of(host.state, os.getuid(), run.id).pid, signal.SIGKILL)
    assert ends_as(catalog, run, "failed").state.end.exit_code == 5


def test_a_third_run_waits_for_one_of_two_gpus_without_a_client(start, catalog, short_tmp):
    go = short_tmp / "go"
    line = f"until [ -e {go} ]; do sleep 0.01; done"
    first, second = start(shell(line)), start(asked("sleep", "1000"))
    third = start(asked("true"), patience=1000.0)
    assert name_of(third.state) == "waiting"
    assert set(first.state.devices).isdisjoint(second.state.devices)
    assert state_of(catalog, third) == "waiting"
    go.touch()
    ends_as(catalog, third, "completed")


def test_a_run_that_goes_on_waiting_as_before_writes_nothing(host, start, catalog):
    start(shell("exec sleep 1000", gpus=2))
    run = start(shell("true"), patience=600)
    (ticket,) = host.snapshot().tickets

    def attends_again():
        return host.snapshot().tickets[0].seen_ns > ticket.seen_ns

    until(attends_again, "a later look at the line")
    events = Path(host.environ["GENVX_RUNS_DIR"], run.id, "events").read_text().splitlines()
    assert [json.loads(line)["is"] for line in events] == ["waiting"]
    assert catalog.find(run.id).state == run.state


def test_a_run_that_waits_can_be_stopped(start, catalog):
    start(asked("sleep", "1000", gpus=2))
    run = start(asked("true"), patience=1000.0)
    catalog.stop(run.id)
    assert ends_as(catalog, run, "stopped").state.end is None


def test_a_failed_run_keeps_its_gpus_until_it_is_released_and_keeps_its_code(host, start, catalog):
    run = start(shell("exit 5", hold=1000, hold_when=HoldWhen.ON_FAILURE))
    ends_as(catalog, run, "held")
    assert free(host) == 1
    host.release(run.id)
    assert ends_as(catalog, run, "failed").state.end.exit_code == 5
    assert free(host) == 2


def test_a_failure_is_tried_again_in_the_same_directory(host, start, catalog):
    run = start(shell('echo x >> tries; [ "$(wc -l < tries)" = 3 ]', retries=5))
    ends_as(catalog, run, "completed")
    assert log_of(host, run).count("starting again") == 2


def test_a_run_ends_with_its_time(start, catalog):
    run = start(asked("sleep", "1000", seconds=1))
    ended = ends_as(catalog, run, "stopped")
    assert (ended.state.why.value, ended.state.end.signal) == ("time", signal.SIGTERM)


def test_what_a_command_leaves_behind_is_ended(host, start, catalog, short_tmp):
    place = short_tmp / "pid"
    run = start(shell(f"setsid sleep 1000 & echo $! > {place}"))
    ends_as(catalog, run, "completed")
    until(lambda: not alive(int(place.read_text())))
    assert "ending what the command left behind" in log_of(host, run)


def test_a_run_that_is_refused_leaves_nothing(host, start, catalog, short_tmp):
    start(asked("sleep", "1000", gpus=2))
    with pytest.raises(NoCapacity):
        start(asked("true"))
    with pytest.raises(CommandNotFound):
        start(asked("no-such-command"))
    with pytest.raises(InvalidInput, match="no such directory"):
        start(asked("true", cwd="no/such"))
    assert len(catalog.newest(Filter(), 10)) == 1
    assert len(os.listdir(short_tmp / "runs")) == 1


def test_runs_are_marked_deleted_restored_and_purged(start, catalog):
    run = start(asked("true"), tags=("a",))
    ends_as(catalog, run, "completed")
    marked = catalog.mark(run.id, "best", add=("b",), remove=("a",))
    assert (marked.label, marked.tags) == ("best", ("b",))
    assert catalog.find("best").id == run.id
    catalog.delete("best")
    assert catalog.newest(Filter(), 10) == []
    assert [each.id for each in catalog.newest(Filter(), 10, deleted=True)] == [run.id]
    catalog.restore(run.id)
    catalog.delete("1")
    catalog.purge(run.id)
    with pytest.raises(UnknownRun):
        catalog.find(run.id)


def test_a_living_run_is_not_deleted(start, catalog):
    run = start(asked("sleep", "1000"))
    with pytest.raises(InvalidInput, match="end it first, with runs stop"):
        catalog.delete(run.id)


def test_of_thousands_of_runs_only_those_that_are_shown_are_opened(
    start, catalog, short_tmp, monkeypatch
):
    run = start(asked("true"))
    ends_as(catalog, run, "completed")
    root = short_tmp / "runs"
    for name in ("spec.json", "state.json"):
        written = (root / run.id / name).read_text()
        for number in range(2_000):
            (root / f"{number:08x}").mkdir(exist_ok=True)
            copied = root / f"{number:08x}" / name
            copied.write_text(written.replace(run.id, f"{number:08x}"))
            os.utime(copied, (number, number))
    opened = []
    shelf = type(catalog._shelf)
    monkeypatch.setattr(
        shelf,
        "open",
        lambda self, name, real=shelf.open: (opened.append(name), real(self, name))[1],
    )
    wanted = [run.id, *(f"{number:08x}" for number in range(1_999, 1_950, -1))]
    assert [each.id for each in catalog.newest(Filter(), 50)] == wanted
    assert opened == wanted
    assert catalog.find("3").id == wanted[2]
    assert catalog.find(wanted[49]).id == wanted[49]
    assert len(opened) == 50 + 3 + 1
    opened.clear()
    since = run.spec.submitted.epoch_ns
    assert [each.id for each in catalog.newest(Filter(since_epoch_ns=since), 50)] == [run.id]
    assert catalog.newest(Filter(("running", "waiting")), 50) == []
    assert opened == [run.id]


def test_a_program_with_more_than_a_thousand_open_files_starts_a_run(start, catalog):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if 0 < hard < 2048 else 2048, hard))
    files = [os.dup(0) for _ in range(1100)]
    try:
        run = start(shell("exit 0"))
    finally:
        for each in files:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    ends_as(catalog, run, "completed")
