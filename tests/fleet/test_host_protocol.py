"""The promises of the Host protocol, kept alike by this machine, one over SSH, and the
shipped fake.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import threading

import pytest

from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.core.wire.ongoing import Hold
from genvx.core.wire.questions import ShowPolicy, TakeSnapshot
from genvx.errors import (
    InvalidInput,
    NoCapacity,
    UnknownEnvironment,
    UnknownRun,
    Unsatisfiable,
    WaitedTooLong,
)
from genvx.fleet.detaching.detached import Request, found_on, listed_on, listing, start_on
from genvx.fleet.fleet import connect_fleet
from genvx.fleet.host import Host
from genvx.fleet.hosts.hostfile import load
from genvx.local.host import LocalHost
from genvx.testing import FakeHost, Played
from tests.helpers import ROOT, until

GIB = 1 << 30


SSH = pytest.param("ssh", marks=pytest.mark.needs("openssh"))


@pytest.fixture(params=["local", SSH, "fake"])
def host(request):
    """A host with two free devices of 80 GiB."""
    if request.param == "fake":
        yield FakeHost("h", 2)
    else:
        with real_host(request) as found:
            yield found


@pytest.fixture(params=["local", SSH])
def hold(request):
    """A hold on one device of a host that can start commands; a fake host starts none."""
    with real_host(request) as found, found.acquire(Ask(Requirements(1), name="x")) as held:
        yield held


@contextlib.contextmanager
def real_host(request):
    if request.param == "local":
        request.getfixturevalue("state")
        with contextlib.closing(LocalHost("h")) as found:
            yield found
    else:
        sandbox = request.getfixturevalue("make_sandbox")("2")
        with connect_fleet(load(sandbox.hostfile)) as fleet:
            yield fleet.hosts[0]


def names(host):
    return [environment.name for environment in host.snapshot().environments]


def test_it_is_a_host(host):
    assert isinstance(host, Host)


def test_a_snapshot_shows_two_free_simulated_devices(host):
    snapshot = host.snapshot()
    assert [(d.index, d.name, d.memory, d.simulated) for d in snapshot.devices] == [
        (0, "A100-80GB", 80 * GIB, True),
        (1, "A100-80GB", 80 * GIB, True),
    ]
    assert snapshot.available == snapshot.devices
    assert snapshot.environments == ()


def test_an_operation_is_answered_like_the_method_that_asks_for_it(host):
    assert host.answer(TakeSnapshot()).devices == host.snapshot().devices
    assert host.answer(ShowPolicy()) == host.entitlement()


def test_what_has_no_single_reply_is_refused(host):
    if isinstance(host, LocalHost | FakeHost):
        with pytest.raises(InvalidInput, match="Hold"):
            host.answer(Hold(Ask(Requirements(1))))


def test_a_hold_is_seen_while_it_lasts(host):
    with host.acquire(Ask(Requirements(1), name="mein 'Name'")) as hold:
        assert names(host) == ["mein 'Name'"]
        (environment,) = host.snapshot().environments
        assert environment.id == hold.grant.environment_id
        assert environment.devices == tuple(d.uuid for d in hold.grant.devices)
        assert [d.index for d in host.snapshot().available] == [1]
    assert names(host) == []


def test_the_variables_of_a_grant_name_its_devices(host):
    with host.acquire(Ask(Requirements(2), name="x")) as hold:
        variables = hold.grant.variables
        assert variables["CUDA_VISIBLE_DEVICES"] == ",".join(d.uuid for d in hold.grant.devices)
        assert variables["GENVX_DEVICES"] == "0,1"
        assert variables["GENVX_ENVIRONMENT_ID"] == hold.grant.environment_id


def test_more_than_there_is_raises_no_capacity_with_the_same_words(host):
    with pytest.raises(NoCapacity) as caught:
        host.acquire(Ask(Requirements(3)))
    assert str(caught.value) == "3 GPUs wanted, but this host has 2 at most"
    assert names(host) == []


def test_shares_and_whole_devices_exclude_each_other(host):
    with host.acquire(Ask(Requirements(1, 50 * GIB))) as share:
        with pytest.raises(NoCapacity):
            host.acquire(Ask(Requirements(2)))
        with host.acquire(Ask(Requirements(1, 30 * GIB))) as second:
            assert second.grant.devices == share.grant.devices
        with host.acquire(Ask(Requirements(1))) as whole:
            assert whole.grant.devices != share.grant.devices


def test_a_name_that_cannot_be_shown_raises_invalid_input(host):
    with pytest.raises(InvalidInput):
        host.acquire(Ask(Requirements(1), name="a\nb"))
    assert names(host) == []


def test_release_ends_an_environment_by_id_and_by_name(host):
    first = host.acquire(Ask(Requirements(1), name="one"))
    second = host.acquire(Ask(Requirements(1), name="two"))
    assert host.release(first.grant.environment_id).name == "one"
    assert host.release("two").id == second.grant.environment_id
    assert names(host) == []
    first.release()
    second.release()


@pytest.mark.parametrize("wrong", ["nope", "", "a\nb"])
def test_release_of_what_is_not_there_raises_unknown_environment(host, wrong):
    with pytest.raises(UnknownEnvironment):
        host.release(wrong)


def test_releasing_a_hold_twice_is_once(host):
    hold = host.acquire(Ask(Requirements(1)))
    hold.release()
    hold.release()
    assert names(host) == []


def test_a_command_runs_under_a_hold(host):
    with host.acquire(Ask(Requirements(1))) as hold:
        assert hold.run("true", check=True).returncode == 0


def test_a_hold_names_its_host_its_devices_and_its_environment(host):
    with host.acquire(Ask(Requirements(2))) as hold:
        assert (hold.host, str(hold.host)) == (host, host.name)
        assert hold.devices == host.snapshot().devices
        assert hold.environment_id == host.snapshot().environments[0].id


def test_a_command_that_cannot_be_given_is_refused(host):
    with host.acquire(Ask(Requirements(1))) as hold:
        for command, options in (([], {}), (["a\0b"], {}), (["true"], {"env": {"A-B": "c"}})):
            with pytest.raises(InvalidInput):
                hold.run(command, **options)


def test_the_output_of_a_command_can_be_captured(hold):
    ran = hold.run("echo out; echo err >&2; exit 3", capture_output=True)
    assert (ran.stdout, ran.stderr, ran.returncode) == (b"out\n", b"err\n", 3)


def test_more_than_a_pipe_holds_goes_in_and_comes_out(hold):
    data = bytes(range(256)) * 4096
    assert hold.run(["cat"], input=data, capture_output=True).stdout == data


def test_a_command_has_no_input_unless_it_is_given_some(hold):
    assert hold.run(["cat"], capture_output=True).stdout == b""


def test_a_command_runs_in_the_directory_and_with_the_variables_that_are_given(hold, tmp_path):
    tmp_path.chmod(0o755)
    line = 'pwd; echo "$A $GENVX_ENVIRONMENT_NAME"'
    ran = hold.run(line, cwd=str(tmp_path), env={"A": "b c"}, capture_output=True)
    assert ran.stdout.decode().splitlines() == [str(tmp_path), "b c x"]


def test_a_directory_that_is_not_there_is_refused(hold):
    with pytest.raises(InvalidInput, match="no such directory: /nowhere"):
        hold.run("true", cwd="/nowhere")


def test_a_started_command_can_be_talked_to(hold):
    running = hold.start(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert running.poll() is None
    running.stdin.write(b"hello\n")
    running.stdin.flush()
    assert running.stdout.readline() == b"hello\n"
    running.stdin.close()
    assert (running.wait(), running.returncode, running.poll()) == (0, 0, 0)
    running.close()


def test_a_signal_ends_a_command_with_128_and_its_number(hold):
    running = hold.start("echo ready; exec sleep 600", stdout=subprocess.PIPE)
    assert running.stdout.readline() == b"ready\n"
    with pytest.raises(subprocess.TimeoutExpired):
        running.wait(timeout=0.01)
    running.signal(signal.SIGTERM)
    assert running.wait() == 128 + signal.SIGTERM
    running.close()


def test_a_command_that_takes_too_long_is_killed(hold):
    with pytest.raises(subprocess.TimeoutExpired):
        hold.run(["sleep", "600"], timeout=0.1)


def test_both_outputs_can_go_into_one_file(hold, tmp_path):
    with (tmp_path / "log").open("wb") as log:
        hold.start("echo out; echo err >&2", stdout=log, stderr=subprocess.STDOUT).wait()
    assert sorted((tmp_path / "log").read_text().split()) == ["err", "out"]


def test_the_doctor_says_that_devices_are_simulated(host):
    assert any("simulated" in finding.result for finding in host.doctor())


def test_more_than_there_ever_is_is_refused_as_such(host):
    with pytest.raises(Unsatisfiable, match="3 GPUs wanted, but this host has 2 at most"):
        host.acquire(Ask(Requirements(3)))
    with pytest.raises(Unsatisfiable):
        host.wait(Ask(Requirements.parse("H100")))


def test_waiting_gives_what_is_free_at_once(host):
    with host.wait(Ask(Requirements(1), name="x")) as hold:
        assert [d.index for d in hold.grant.devices] == [0]
        assert names(host) == ["x"]
    assert names(host) == []


def test_whoever_waits_gets_what_others_release(host):
    first = host.acquire(Ask(Requirements(2)))
    told = []

    def release(standing):
        told.append((standing.place, standing.reason))
        first.release()

    with host.wait(Ask(Requirements(1), name="x"), tell=release):
        assert told == [(1, "0 of 1 available")]
        assert names(host) == ["x"]
        assert host.snapshot().tickets == ()


def test_waiting_ends_in_time_and_leaves_no_ticket(host):
    with host.acquire(Ask(Requirements(2))), pytest.raises(WaitedTooLong):
        host.wait(Ask(Requirements(1), patience=0.05))
    until(lambda: host.snapshot().tickets == (), "the ticket is gone")


def test_waiting_can_be_ended(host):
    stop = threading.Event()
    with host.acquire(Ask(Requirements(2))), pytest.raises(WaitedTooLong):
        host.wait(Ask(Requirements(1)), tell=lambda standing: stop.set(), stop=stop)
    until(lambda: host.snapshot().tickets == (), "the ticket is gone")


# Runs

ENDS, GOES_ON = "echo a; printf b; exit 3", "exec sleep 600"


def played(spec):
    return {ENDS: Played(b"a\nb", 3), GOES_ON: Played(code=None)}[spec.argv[-1]]


@pytest.fixture(params=["local", SSH, "fake"])
def runner(request, short_tmp, monkeypatch):
    """A host with two free devices that has runs; none of them lives on behind the test."""
    if request.param == "fake":
        yield FakeHost("h", 2, script=played)
        return
    monkeypatch.setenv("GENVX_RUNS_DIR", str(short_tmp / "runs"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with real_host(request) as found:
        yield found
        for run in listed_on(found, listing()):
            run.stop(force=True)


def start(host, line, gpus=1, **more):
    return start_on(host, Request(line, gpus, **more))


def free(host):
    return [device.index for device in host.snapshot().available]


def test_a_run_ends_with_its_exit_code_and_its_log(runner):
    run = start(runner, ENDS, name="train", tags=["base"])
    assert (str(run.host), run.name, len(run.id)) == (runner.name, "train", 8)
    assert list(run.follow()) == [b"a\n", b"b"]
    assert (run.wait(), run.returncode, run.state) == (3, 3, "failed")
    assert (run.log(), run.log(lines=1)) == (b"a\nb", b"b")
    assert (run.info.tags, run.info.log_bytes) == (("base",), 3)
    until(lambda: free(runner) == [0, 1], "the devices are free")


def test_a_run_goes_on_until_it_is_stopped(runner):
    run = start(runner, GOES_ON, name="train")
    assert (run.state, run.returncode, free(runner)) == ("running", None, [1])
    with pytest.raises(subprocess.TimeoutExpired):
        run.wait(timeout=0.01)
    assert all(found_on(runner, each) == run for each in (run.id, run.id[:6], "train", 1, ""))
    with pytest.raises(InvalidInput, match=f"run {run.id} is running"):
        run.delete()
    run.stop(grace=30)
    assert (run.state, run.returncode, free(runner)) == ("stopped", 143, [0, 1])
    run.stop()
    assert run.state == "stopped"


def test_a_command_runs_inside_of_a_run_that_runs(runner):
    run = start(runner, GOES_ON, env={"A": "b c"})
    done = run.exec('echo "$A $GENVX_RUN_ID"; pwd', capture_output=True, check=True)
    if not isinstance(runner, FakeHost):
        said, place = done.stdout.decode().splitlines()
        assert (said, place.endswith(f"/{run.id}/work")) == (f"b c {run.id}", True)
        assert run.exec("exit 4", env={"A": "d"}).returncode == 4
    waiting = start(runner, ENDS, 2, wait=60)
    with pytest.raises(InvalidInput, match=f"run {waiting.id} waits in line"):
        waiting.exec("true")
    run.stop(force=True)
    with pytest.raises(InvalidInput, match=rf"run {run.id} is over: stopped \(asked\)"):
        run.exec("true")


def test_a_run_without_room_is_refused_or_waits_in_line(runner):
    first = start(runner, GOES_ON, 2)
    with pytest.raises(NoCapacity):
        start(runner, ENDS)
    with pytest.raises(Unsatisfiable, match="3 GPUs wanted, but this host has 2 at most"):
        start(runner, ENDS, 3, wait=60)
    assert listed_on(runner, listing()) == [first]
    second, third = start(runner, ENDS, 2, wait=60), start(runner, ENDS, wait=60)
    assert (second.info.state.place, third.info.state.place) == (1, 2)
    assert listed_on(runner, listing("waiting")) == [third, second]
    third.stop()
    assert (third.state, third.returncode, third.wait()) == ("stopped", None, None)
    first.stop(force=True)
    assert second.wait() == 3


def test_a_run_that_is_over_is_started_again_as_a_new_one(runner):
    run = start(runner, GOES_ON, 2, name="train", tags=["base"], wait=60)
    with pytest.raises(InvalidInput, match=f"run {run.id} is running"):
        run.restart()
    run.stop(force=True)
    again = run.restart()
    assert (again == run, again.host, again.name, again.state) == (
        False,
        run.host,
        "train",
        "running",
    )
    found = again.info
    assert (found.spec.restarted, found.tags, found.spec.patience) == (run.id, ("base",), 60)
    assert run.restart().state == "waiting"


def test_a_run_that_waits_too_long_fails_and_says_why(runner):
    first = start(runner, GOES_ON, 2)
    run = start(runner, ENDS, wait=0.05)
    assert (run.wait(), run.state) == (None, "failed")
    assert run.info.state.why.startswith("1 GPU not free")
    assert first.state == "running"


def test_the_devices_of_a_held_run_are_kept(runner):
    run = start(runner, ENDS, hold=600, hold_when="on-failure")
    assert (run.wait(), run.state, free(runner)) == (3, "held", [1])
    assert run.exec("true").returncode == 0
    run.stop()
    assert (run.state, run.returncode, free(runner)) == ("failed", 3, [0, 1])


def test_a_run_is_marked_listed_deleted_and_restored(runner):
    run = start(runner, ENDS, name="train", tags=["base"])
    run.label("best")
    run.tag("good", "late", remove=["base"])
    assert (run.name, run.info.tags) == ("best", ("good", "late"))
    with pytest.raises(InvalidInput):
        run.label("a\nb")
    run.wait()
    until(lambda: run.state == "failed", "it is over")
    assert listed_on(runner, listing("failed", ["late", "good"], "best", 3600)) == [run]
    assert listed_on(runner, listing(tags="base")) == []
    run.delete()
    assert (listed_on(runner, listing()), listed_on(runner, listing(deleted=True))) == ([], [run])
    run.restore()
    assert listed_on(runner, listing()) == [run]
    run.delete()
    run.purge()
    for ask in (lambda: run.state, lambda: found_on(runner, "best"), run.log):
        with pytest.raises(UnknownRun):
            ask()
