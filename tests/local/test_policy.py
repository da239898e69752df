"""The policy of a machine, and the end of an environment's time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.core.runs.debugport import DebugPort
from genvx.core.runs.run import Moment, RunSpec
from genvx.errors import InvalidInput, NoCapacity, StateError, Unsatisfiable
from genvx.local.host import LocalHost
from genvx.local.joiningline import place_in_line
from tests.conftest import run_genvx
from tests.helpers import as_a_user, until

GIB = 1 << 30


@pytest.fixture
def host(state):
    found = LocalHost()
    found.snapshot()
    yield found
    found.close()


@pytest.fixture
def policy(host, state, monkeypatch):
    """Writes the policy; we are a user like others, not root."""
    as_a_user(monkeypatch)

    def write(text):
        path = state / "policy.toml"
        path.write_text(text)
        path.chmod(0o644)
        return path

    return write


def test_nobody_gets_more_than_his_limit(host, policy):
    policy("[limits]\ngpus = 1\n")
    with (
        host.acquire(Ask(Requirements(1))),
        pytest.raises(NoCapacity, match="by policy you may hold 1 GPU at once here, and hold"),
    ):
        host.acquire(Ask(Requirements(1)))


def test_more_than_the_limit_is_never_to_be_had(host, policy):
    policy("[limits]\ngpus = 1\n")
    with pytest.raises(Unsatisfiable, match="2 GPUs wanted, but by policy you may hold 1 at once"):
        host.acquire(Ask(Requirements(2)))


def test_memory_is_limited_too(host, policy):
    policy('[limits]\nmemory = "100G"\n')
    with host.acquire(Ask(Requirements(1, 60 * GIB))):
        host.acquire(Ask(Requirements(1, 40 * GIB))).release()
        with pytest.raises(NoCapacity, match="hold 100 GiB of GPU memory at once"):
            host.acquire(Ask(Requirements(1, 41 * GIB)))
    with pytest.raises(Unsatisfiable):
        host.acquire(Ask(Requirements(2)))


def test_hidden_devices_are_not_there(host, policy):
    policy("[devices]\nhidden = [0]\n")
    assert [device.index for device in host.snapshot().devices] == [1]
    with pytest.raises(Unsatisfiable, match="this host has 1 at most"):
        host.acquire(Ask(Requirements(2)))


def test_only_what_may_be_shared_is(host, policy):
    policy("[devices]\nshared = [1]\n")
    with host.acquire(Ask(Requirements(1, GIB))) as hold:
        assert [device.index for device in hold.grant.devices] == [1]
    with pytest.raises(Unsatisfiable, match="GPU 0: may not be shared, by policy"):
        host.acquire(Ask(Requirements(2, GIB)))


def test_an_environment_lasts_as_long_as_the_policy_says(host, policy):
    policy('[limits]\ntime = "2h"\n')
    with host.acquire(Ask(Requirements(1))) as hold:
        assert hold.grant.seconds == 7200
    with host.acquire(Ask(Requirements(1), lasts=60)) as hold:
        assert hold.grant.seconds == 60
    with pytest.raises(InvalidInput, match="lasts 2 h at most here, not 3 h"):
        host.acquire(Ask(Requirements(1), lasts=10800))


def test_whoever_waits_behind_his_own_limit_keeps_nothing_from_others(host, policy):
    policy("[limits]\ngpus = 1\n")
    assert place_in_line(host, Ask(Requirements(1), name="", command=""), "abcd1234").most == 1


def test_administrators_have_no_limit(host, state):
    (state / "policy.toml").write_text("[limits]\ngpus = 0\n[devices]\nhidden = [0]\n")
    if os.geteuid() == 0:
        host.acquire(Ask(Requirements(2))).release()
    else:
        with pytest.raises(Unsatisfiable):
            host.acquire(Ask(Requirements(1)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[limits]\ngpus = 'x'\n", "line 2: limits.gpus: must be a whole number"),
        ("[limits\n", "at line 1"),
        ("gpus = 1\n", "line 1: gpus: unknown key 'gpus'"),
    ],
)
def test_a_bad_policy_is_an_error_for_all_that_take_devices(host, policy, text, message):
    policy(text)
    with pytest.raises(StateError, match=message):
        host.acquire(Ask(Requirements(1)))
    answer = run_genvx("run", "-g", "1", "--", "true")
    assert answer.returncode == 6
    assert message in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


def test_doctor_tells_of_the_policy(host, policy):
    policy("[limits]\ngpus = 1\n")
    assert next(f.result for f in host.doctor() if f.check == "policy").endswith("for you: 1 GPU")
    policy("gpus = 1\n")
    assert [f.severity.value for f in host.doctor() if f.check == "policy"] == ["error"]


def test_a_policy_that_others_could_have_written_is_an_error(host, policy):
    policy("").chmod(0o666)
    with pytest.raises(StateError, match="can be written by others"):
        host.acquire(Ask(Requirements(1)))


@pytest.mark.needs("root")
def test_a_policy_of_somebody_else_is_an_error(host, policy):
    os.chown(policy("[limits]\n"), 4242, 4242)
    with pytest.raises(StateError, match="is not a file of root's"):
        host.acquire(Ask(Requirements(1)))


def test_a_policy_that_is_a_link_is_not_followed(host, policy, state, tmp_path):
    (tmp_path / "p").write_text("")
    (state / "policy.toml").symlink_to(tmp_path / "p")
    with pytest.raises(StateError):
        host.acquire(Ask(Requirements(1)))


def test_what_is_allowed_is_shown(host, policy):
    policy('administrators = ["ann"]\n[limits]\ngpus = 4\n[limits.users.raz]\ntime = "8h"\n')
    answer = run_genvx("policy", "--csv")
    assert answer.stdout.splitlines()[2:] == ["everybody,4,-,-", "user raz,-,-,8 h"]
    (shown,) = json.loads(run_genvx("policy", "--json").stdout)["hosts"]
    assert shown["users"] == {"raz": {"gpus": None, "memory_bytes": None, "seconds": 28800.0}}


@pytest.mark.needs("pythons")
def test_an_old_python_reads_it_too(host, policy, state):
    from tests.capabilities import old_pythons

    policy("[limits]\ngpus = 0\n[devices]\nhidden = [0, 1]\n")
    import tomli

    import genvx

    paths = [os.path.dirname(os.path.dirname(m.__file__)) for m in (genvx, tomli)]
    program = (
        "from genvx.local.state import policyfile; import sys; "
        "print(policyfile.read(sys.argv[1]).hidden)"
    )
    answer = subprocess.run(
        [old_pythons()[0], "-c", program, str(state)],
        env={"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
    )
    assert answer.stdout == "('0', '1')\n", answer.stderr


def test_a_policy_keeps_requests_off_gpus_that_somebody_uses_without_a_lease(
    host, policy, monkeypatch
):
    monkeypatch.setenv("GENVX_SIMULATE", "1xA100-80GB,used=20G@0")
    wanted = Requirements(1, in_use=True)
    with host.acquire(Ask(wanted)) as hold:
        assert len(hold.devices) == 1
    policy("[devices]\nin_use = false\n")
    with pytest.raises(NoCapacity):
        host.acquire(Ask(wanted))


def test_a_run_with_a_debug_port_is_refused_where_the_policy_forbids_it(host, policy):
    policy("[runs]\ndebug_ports = false\n")
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILBOxG4hsEOdIOrK8a+pz6mdNKEbmJV0O1QqgGPz1Ohu"
    spec = RunSpec(
        "abcd0123", ("true",), Requirements(), "", "", Moment(0, 0), debug_port=DebugPort((key,))
    )
    with pytest.raises(InvalidInput, match="by policy runs have no debug port here"):
        host.submit(spec)


# The end of its time


def test_a_command_is_warned_and_ended_when_its_time_is_over(host):
    answer = run_genvx("run", "-g", "1", "--time", "1s", "--", "sleep", "60")
    assert answer.returncode == 128 + signal.SIGTERM
    assert answer.stderr.splitlines() == [
        "genvx: this environment ends in 1 s",
        "genvx: the time of this environment is over",
    ]
    assert host.snapshot().leases == ()


def test_a_command_that_ends_before_is_not_told(host):
    answer = run_genvx("run", "-g", "1", "--time", "1h", "--", "true")
    assert (answer.returncode, answer.stderr) == (0, "")


def test_a_program_that_activates_is_ended_too(host):
    program = "import genvx, time\nwith genvx.activate(1, time=1):\n    time.sleep(60)\n"
    answer = subprocess.run([sys.executable, "-c", program])
    assert answer.returncode == -signal.SIGTERM
    until(lambda: host.snapshot().leases == (), "all is free")


@pytest.mark.needs("bash")
def test_a_shell_is_told_in_its_terminal_and_ended(host, monkeypatch):
    import pexpect

    monkeypatch.setenv("SHELL", "/bin/bash")
    child = pexpect.spawn(
        sys.executable,
        ["-m", "genvx", "activate", "-g", "1", "--time", "2s"],
        encoding="utf-8",
        use_poll=True,
    )
    child.expect("this environment ends in 1 s")
    child.expect("the time of this environment is over")
    child.expect(pexpect.EOF)
    child.close()
    until(lambda: host.snapshot().leases == (), "all is free")


def test_whoever_only_reads_the_lease_is_not_ended_with_it(host, state):
    program = "import genvx, time\nwith genvx.activate(1, time=1):\n    time.sleep(60)\n"
    process = subprocess.Popen([sys.executable, "-c", program])
    lease = until(lambda: list(state.rglob("*.lease")), "it holds one")[0]
    with lease.open("rb") as looking:
        reader = subprocess.Popen(["sleep", "60"], stdin=looking)
    assert process.wait() == -signal.SIGTERM
    until(lambda: host.snapshot().leases == (), "all is free")
    assert reader.poll() is None
    reader.kill()
    reader.wait()


def test_whoever_joins_has_the_same_end(host):
    with host.acquire(Ask(Requirements(1), lasts=100)) as first:
        with host.join(first.grant.environment_id) as second:
            assert second.grant.seconds in (99, 100)
        (environment,) = host.snapshot().environments
        assert environment.expires_ns is not None
