"""A run that waits moves to another host: when somebody says so, and when somebody watches it. It
never starts twice, also when the client is killed in between.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import threading

import pytest

from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from tests.cli.runs.test_acting_json import acts
from tests.cli.runs.test_runs import end_sessions, rows, started
from tests.conftest import run_genvx
from tests.helpers import (
    PATIENCE,
    end_all_of,
    itself,
    runs_on_hosts,
    start_genvx,
    states_on_hosts,
    until,
)

pytestmark = pytest.mark.needs("openssh")


@pytest.fixture
def hosts(make_sandbox):
    """Two hosts with a GPU each."""
    return make_sandbox("1", "1")


@pytest.fixture
def busy(hosts):
    """Both GPUs are taken; to call it with the name of a host frees that of this host."""
    with contextlib.ExitStack() as taken:
        yield taken_on(hosts, taken)


def taken_on(hosts, taken):
    """Take the GPUs of hosts; return what frees that of a host."""
    held = {
        host.name: taken.enter_context(itself(host).acquire(Ask(Requirements(1))))
        for host in hosts.hosts
    }
    return lambda host: held[host].release()


def places_of(run):
    return [host for host, each in runs_on_hosts() if each.id == run]


def waiting(*words):
    """A run that waits; its id, its host, and the other host."""
    run = started("-g", "1", "--wait", *words, remote=True)
    (host,) = places_of(run)
    return run, host, "gpu-server-1" if host == "gpu-server-2" else "gpu-server-2"


def state_of(run):
    """Its state on the host on which it lives; the other one may know that it was moved."""
    found = states_on_hosts(run)
    return next((state for state in found if state != "stopped"), *found[:1])


def test_a_waiting_run_moves_with_its_id_its_name_and_its_tags_and_leaves_nothing(busy):
    words = ("-n", "x", "--run-tag", "t", "--", "sh", "-c", "echo there; exit 3")
    run, source, target = waiting(*words)
    refused = run_genvx("remote", "runs", "move", run)
    assert refused.returncode == 3
    assert f"no other host has room for run {run}; it waits on {source}" in refused.stderr
    run_genvx("remote", "runs", "label", run, "best")
    busy(target)
    moved = run_genvx("remote", "runs", "move", run)
    assert moved.stdout == f"Moved run {run} (x) from {source} to {target}\n", moved.stderr
    assert "genvx: it is running with 1 GPU" in moved.stderr
    watched = run_genvx("remote", "watch", "best")
    assert (watched.stdout, watched.returncode) == ("there\n", 3)
    (entry,) = json.loads(run_genvx("remote", "runs", "--tag", "t", "--json").stdout)["hosts"][
        int(target[-1]) - 1
    ]["runs"]
    assert (entry["id"], entry["name"], entry["label"]) == (run, "x", "best")
    assert [row[0] for row in rows("remote") if row[1] == run] == [target]
    again = run_genvx("remote", "runs", "move", run)
    assert (again.returncode, again.stdout) == (2, "")
    assert f"run {run} is failed; only a waiting run can move" in again.stderr


def test_a_run_moves_into_the_line_of_a_host_that_was_named(busy):
    run, source, target = waiting("--", "true")
    moved = run_genvx("remote", "runs", "move", run, "--only-host", target)
    assert moved.stdout == f"Moved run {run} from {source} to {target}\n", moved.stderr
    assert "it waits in line: place 1" in moved.stderr


def test_who_watches_a_waiting_run_sees_it_move_and_then_its_output(busy):
    run, source, target = waiting("--", "sh", "-c", "echo there; exit 4")
    busy(target)
    watched = run_genvx("remote", "watch", run)
    assert (watched.stdout, watched.returncode) == ("there\n", 4)
    assert f"genvx: run {run} waits in line on {source}: place 1" in watched.stderr
    assert f"genvx: run {run} moves to {target}, which has room" in watched.stderr


def test_who_watches_a_run_that_somebody_else_moves_goes_with_it(busy):
    run, _, target = waiting("--", "sh", "-c", "echo there; exit 4")
    watching = start_genvx("remote", "watch", "--stay", run)
    assert "waits in line" in watching.stderr.readline()
    busy(target)
    (moved,) = acts(run_genvx("remote", "runs", "move", run, "--json"))
    assert (moved["did"], moved["host"], moved["id"]) == ("moved", target, run)
    out, _ = watching.communicate(timeout=PATIENCE)
    assert (out, watching.returncode) == ("there\n", 4)


@pytest.mark.parametrize(
    "words", [("--stay", ()), (None, ("--exclude-host", "none")), (None, ("-C", "."))]
)
def test_a_run_stays_where_that_was_chosen(busy, words):
    option, chosen = words
    run, source, target = waiting(*chosen, "--", "true")
    busy(target)
    watching = start_genvx("remote", "watch", run, *([option] if option else []))
    assert "waits in line" in watching.stderr.readline()
    busy(source)  # it starts there, and was not moved
    _, said = watching.communicate(timeout=PATIENCE)
    assert (watching.returncode, "moves" in said) == (0, False)
    assert places_of(run) == [source]


def test_a_run_is_started_anew_with_all_that_was_asked(hosts):
    words = ("--env", "A=b", "--run-tag", "t", "-n", "x", "--", "sh", "-c", 'echo "$A"; exit 3')
    first = started("-g", "1", *words, remote=True)
    assert run_genvx("remote", "watch", first).returncode == 3
    (host,) = places_of(first)
    answer = run_genvx("remote", "runs", "restart", first)
    second = answer.stdout.strip()
    assert second != first
    assert run_genvx("remote", "watch", second).stdout == "b\n"
    other = "gpu-server-1" if host == "gpu-server-2" else "gpu-server-2"
    third = run_genvx("remote", "runs", "restart", second, "--only-host", other).stdout.strip()
    until(lambda: state_of(third) == "failed")
    found = {row[1]: row[0] for row in rows("remote")}
    assert found == {first: host, second: host, third: other}
    info = run_genvx("remote", "runs", "info", third).stdout
    assert f"restarts:   {second}\n" in info
    assert "tags:       t\n" in info
    started("-g", "1", "-n", "long", "--", "sleep", "1000", remote=True)
    alive = run_genvx("remote", "runs", "restart", "long")
    assert (alive.returncode, alive.stdout) == (2, "")
    assert "is running; end it first, with runs stop" in alive.stderr


def _moves(run, moves):
    moves.append(run_genvx("remote", "runs", "move", run))
    return moves[-1].returncode == 0


def _is_started_anew(run, target):
    """Whether a run that was moved is started again, or was on its way and has arrived."""
    again = run_genvx("remote", "runs", "restart", run, "--only-host", target)
    return again.returncode == 0 or "is running" in again.stderr


def test_a_viewer_of_a_waiting_run_follows_it_and_goes_on_into_its_terminal(hosts, busy, view):
    words = ("--tty", "--env", "PS1=in$ ", "--", "bash", "--norc")
    run, source, target = waiting(*words)
    terminal = view(run)
    terminal.expect(f"genvx: run {run} waits in line on {source}: place 1")
    terminal.key("\x03")
    terminal.expect(f"genvx: run {run} goes on; genvx remote watch -i {run} shows it again")
    assert terminal.end() == 130
    busy(target)
    terminal = view(run)
    terminal.expect(f"genvx: run {run} moves to {target}, which has room")
    terminal.expect(f"genvx: the terminal of run {run}; Ctrl-] three times leaves it")
    terminal.line("echo here $((20 + 3)); stty size")
    terminal.expect("here 23\r\n24 200\r\n")
    other = view(run, size=(50, 100))
    # A viewer that comes later is shown what was there, and the smaller size counts.
    other.expect("here 23\r\n24 200\r\n")
    other.line("stty size; sleep 1000")
    terminal.expect("24 100\r\n")
    terminal.key("\x03")
    other.expect("^C")
    other.key("\x1d\x1d\x1d")
    other.expect(f"genvx: run {run} goes on; genvx remote watch -i {run} shows it again")
    assert other.end() == 0
    end_sessions(hosts)
    terminal.expect(
        f"{target}: the connection ended; run {run} goes on; genvx remote watch -i {run} shows it"
    )
    assert terminal.end() == 4
    terminal = view(run)
    terminal.expect("^C")
    terminal.line("exit 7")
    assert terminal.end() == 7


# Half an hour for 100: GENVX_TEST_TRIES=100 scripts/test tests/cli/runs/test_moving.py -k killed
_TRIES = int(os.environ.get("GENVX_TEST_TRIES", "3"))


@pytest.mark.timeout(90 * max(_TRIES, 3))
def test_a_client_that_is_killed_while_a_run_moves_starts_it_once_at_most(hosts, short_tmp):
    chance = random.Random(_TRIES)
    for number in range(_TRIES):
        with contextlib.ExitStack() as taken:
            # A minute is not spent each time.
            patient = number % 10 == 9
            file = short_tmp / f"started{number}"
            _kill_a_client(taken_on(hosts, taken), file, chance.uniform(0.1, 1.5), patient)
        end_all_of(hosts.directory)


def _kill_a_client(free, file, after, patient):
    """Kill the client that moves a run after so many seconds; the run says in the file each time
    that it starts. patient: whether we wait until the run may be started anew.
    """
    run, _, target = waiting("--", "sh", "-c", f"echo x >> {file}; exec sleep 1000")
    free(target)
    client = start_genvx("remote", "runs", "move", run)
    threading.Event().wait(after)
    os.killpg(client.pid, signal.SIGKILL)
    client.communicate()
    # A host that was asked goes on without the client, for as long as a supervisor decides.
    until(lambda: state_of(run) in ("waiting", "running", "stopped"))
    if state_of(run) == "running":
        until(file.exists)
    elif state_of(run) == "stopped":
        again = run_genvx("remote", "runs", "restart", run, "--only-host", target)
        # As long as it may be on its way it is not started anew.
        assert "on its way" in again.stderr or "is running" in again.stderr, again
        if not patient and "on its way" in again.stderr:
            return
        until(lambda: _is_started_anew(run, target), patience=120)
        until(file.exists)
    else:
        # The host may have been asked, and decide only now; or what it was asked by has ended with
        # the client before it asked the supervisor, and the run waits on.
        moves = []
        until(lambda: state_of(run) == "stopped" or _moves(run, moves), f"{run}: {moves}")
        if state_of(run) == "stopped":
            assert not file.exists()
            return
        until(file.exists)
    assert [state for state in states_on_hosts(run) if state != "stopped"] == ["running"]
    assert file.read_text() == "x\n"
