"""A lease that is held ends with its holder or with its time, whichever comes first; a reservation
with its time.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from genvx.core.leases.lease import OVERTIME_NS
from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.core.value import replace
from genvx.errors import NoCapacity, StateError, UnknownEnvironment
from genvx.local import processes
from genvx.local.host import LocalHost
from genvx.local.running import spared, timekeeper
from genvx.local.running.leasefile import LeaseFile
from genvx.local.state import locks
from tests.conftest import run_genvx
from tests.helpers import alive, as_a_user, genvx_env, start_genvx, until

ONE = Requirements(1)


@pytest.fixture
def host(state):
    found = LocalHost()
    found.snapshot()
    yield found
    found.close()


@pytest.fixture
def limited(host, state, monkeypatch):
    """A policy that ends everybody's environments; we are a user like others, not root."""
    as_a_user(monkeypatch)
    (state / "policy.toml").write_text('[limits]\ngpus = 1\ntime = "1h"\n')


@pytest.fixture
def later(monkeypatch):
    """Moves the clock of this process on."""
    moved = [0]
    real = time.clock_gettime_ns
    monkeypatch.setattr(time, "clock_gettime_ns", lambda clock: real(clock) + moved[0])

    def move(seconds):
        moved[0] += round(seconds * 1e9)

    return move


@pytest.fixture
def forked():
    """Runs something in a process that goes on until it is killed."""
    pids = []

    def start(act):
        pid = os.fork()
        if pid == 0:
            try:
                kept = act()
                while True:
                    signal.pause()
                    del kept
            finally:
                os._exit(1)
        pids.append(pid)
        return pid

    def end(pid):
        pids.remove(pid)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

    start.end = end
    yield start
    for pid in list(pids):
        end(pid)


def script(code, **options):
    return subprocess.Popen([sys.executable, "-c", code], env=genvx_env(), text=True, **options)


def command_of(pid):
    """The command that `genvx run` runs, once it runs it."""

    def found():
        told = subprocess.run(["pgrep", "-P", str(pid), "^sleep$"], capture_output=True, text=True)
        return int(told.stdout or 0)

    return until(found, "the command runs")


def keeper_of(pid):
    """The keeper of the time of what a process runs: it has the same command line."""
    command = Path(f"/proc/{pid}/cmdline").read_bytes()
    told = subprocess.run(["pgrep", "-P", "1"], capture_output=True, text=True).stdout.split()
    orphans = [int(word) for word in told]
    return next(p for p in orphans if Path(f"/proc/{p}/cmdline").read_bytes() == command)


# With its holder


def test_a_shell_that_has_a_time_frees_its_devices_when_it_ends(host):
    answer = run_genvx(
        *("activate", "-g", "1", "--time", "10m"), stdin=None, input="exit 3\n", env={"SHELL": "sh"}
    )
    assert answer.returncode == 3, answer.stderr
    assert host.snapshot().leases == ()


def test_a_command_with_a_time_frees_its_devices_when_it_and_its_parent_are_killed(host):
    process = start_genvx("run", "-g", "1", "--time", "10m", "--", "sleep", "600")
    command = command_of(process.pid)
    process.kill()
    os.kill(command, signal.SIGKILL)
    until(lambda: not host.snapshot().leases, "all is free")
    process.communicate()


def test_a_program_with_a_time_frees_its_devices_when_it_is_killed(host):
    process = script("import genvx, time\nwith genvx.activate(1, time=600): time.sleep(600)")
    until(lambda: host.snapshot().leases)
    process.kill()
    process.wait()
    until(lambda: not host.snapshot().leases, "all is free")


def test_a_time_that_the_policy_gives_does_not_outlive_the_holder(host, limited, forked):
    pid = forked(lambda: host.acquire(Ask(ONE)))
    (lease,) = until(lambda: host.snapshot().leases)
    assert lease.expires_ns is not None
    forked.end(pid)
    assert host.snapshot().leases == ()
    host.acquire(Ask(ONE)).release()


# With its time


def test_a_command_whose_parent_is_killed_is_ended_at_its_time(host):
    process = start_genvx("run", "-g", "1", "--time", "3s", "--", "sleep", "600")
    command = command_of(process.pid)
    process.kill()
    until(lambda: not alive(command), "the command ends")
    until(lambda: not host.snapshot().leases, "all is free")
    process.communicate()


def test_a_command_whose_keeper_is_killed_is_ended_at_its_time(host):
    process = start_genvx("run", "-g", "1", "--time", "3s", "--", "sleep", "600")
    command_of(process.pid)
    os.kill(keeper_of(process.pid), signal.SIGKILL)
    assert process.wait() == 128 + signal.SIGTERM
    process.communicate()
    assert host.snapshot().leases == ()


def test_what_a_command_has_started_is_ended_with_it(host):
    line = "sleep 600 & echo $!; wait"
    process = start_genvx("run", "-g", "1", "--time", "2s", "--", "sh", "-c", line)
    started = int(process.stdout.readline())
    until(lambda: not alive(started), "what it has started ends")
    assert process.wait() == 128 + signal.SIGTERM
    process.communicate()


def test_a_command_that_ignores_the_end_of_its_time_is_told_once_and_killed(host):
    line = "trap 'echo told' TERM; trap '' HUP; while :; do sleep 0.1; done"
    program = (
        "import sys\n"
        "from genvx.core.requests.ask import Ask\n"
        "from genvx.core.requests.requirements import Requirements\n"
        "from genvx.local.host import LocalHost\n"
        "hold = LocalHost().acquire(Ask(Requirements(1), lasts=1))\n"
        f"sys.exit(hold.supervise(['sh', '-c', {line!r}], grace=1.0))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=genvx_env()
    )
    assert (answer.stdout, answer.returncode) == ("told\n", 128 + signal.SIGKILL)
    until(lambda: host.snapshot().leases == (), "all is free")


def test_a_command_that_is_stopped_with_its_parent_is_ended_at_its_time(host):
    """signal.sigtimedwait returned garbage to the parent when that went on."""
    process = start_genvx("run", "-g", "1", "--time", "2s", "--", "sleep", "600")
    command = command_of(process.pid)
    os.killpg(process.pid, signal.SIGSTOP)
    until(lambda: not alive(command), "the command ends")
    until(lambda: not host.snapshot().leases, "all is free")
    os.killpg(process.pid, signal.SIGCONT)
    assert process.communicate() == ("", "genvx: the time of this environment is over\n")
    assert process.returncode - 128 in (signal.SIGTERM, signal.SIGHUP)  # both were waiting


def test_a_held_lease_does_not_count_long_after_its_time(host, limited, forked, later):
    """As when somebody has killed the keeper of the time: a limit holds all the same."""
    forked(lambda: host.acquire(Ask(ONE)))
    (lease,) = until(lambda: host.snapshot().leases)
    later(3600 + 1)
    assert host.snapshot().leases == (lease,)
    with pytest.raises(NoCapacity, match="by policy"):
        host.acquire(Ask(ONE))
    later(OVERTIME_NS / 1e9)
    assert host.snapshot().leases == ()
    with pytest.raises(UnknownEnvironment):
        host.release(lease.environment_id)
    host.acquire(Ask(ONE)).release()


def test_whoever_looks_does_not_delete_what_is_held_beyond_its_time(host, state, later):
    hold = host.acquire(Ask(ONE, lasts=10))
    later(10 + OVERTIME_NS / 1e9)
    assert host.snapshot().leases == ()
    assert len(list(state.rglob("*.lease"))) == 1
    hold.release()
    assert list(state.rglob("*.lease")) == []


def test_an_environment_whose_time_is_over_gets_no_more_members_and_devices(host, later):
    with host.acquire(Ask(ONE, name="late", lasts=10)) as hold:
        later(10)
        for act in (
            lambda: host.join(hold.grant.environment_id),
            lambda: host.attach(hold.grant.environment_id, ONE),
        ):
            with pytest.raises(UnknownEnvironment, match="the time of environment late "):
                act()


# What is reserved


def test_a_reservation_lives_without_a_holder_until_its_time_is_over(host, later):
    grant = host.reserve(Ask(ONE, lasts=60))
    (environment,) = host.snapshot().environments
    assert (environment.id, environment.pids) == (grant.environment_id, ())
    later(59)
    assert len(host.snapshot().environments) == 1
    later(1)
    assert host.snapshot().environments == ()


def test_whoever_joins_a_reservation_does_not_prolong_it(host, forked, later):
    grant = host.reserve(Ask(ONE, lasts=60))
    pid = forked(lambda: host.join(grant.environment_id))
    until(lambda: host.snapshot().environments[0].pids)
    forked.end(pid)
    assert len(host.snapshot().environments) == 1
    host.join(grant.environment_id)
    later(60 + OVERTIME_NS / 1e9)
    assert host.snapshot().environments == ()


def test_what_was_attached_to_a_reservation_lives_with_it(host, later):
    grant = host.reserve(Ask(ONE, lasts=60))
    host.attach(grant.environment_id, ONE)
    host.detach(grant.environment_id, ["0"])
    later(59)
    assert [len(env.devices) for env in host.snapshot().environments] == [1]
    later(1)
    assert len(host.snapshot().available) == 2


def test_a_lock_on_a_reservation_does_not_prolong_it(host, state, later):
    host.reserve(Ask(ONE, lasts=60))
    (path,) = state.rglob("*.lease")
    with path.open("rb+") as file:
        assert locks.hold(file.fileno())
        later(60)
        assert host.snapshot().environments == ()


def test_who_dies_while_reserving_leaves_nothing(host, monkeypatch):
    """When the lease that is held is there, and the one that lives by its time is not yet."""
    published, rename = [], os.rename

    def die(*arguments, **named):
        if published:
            os.kill(os.getpid(), signal.SIGKILL)
        published.append(rename(*arguments, **named))

    monkeypatch.setattr(os, "rename", die)
    pid = os.fork()
    if pid == 0:
        host.reserve(Ask(ONE, lasts=60))
    assert os.WIFSIGNALED(os.waitpid(pid, 0)[1])
    assert host.snapshot().environments == ()


# Nobody else


# A process that has a file open for writing that somebody names, and is ended by TERM.
LISTENS = "import os, sys, time; os.open(sys.argv[1], os.O_RDWR); print(flush=True); time.sleep(60)"


def test_a_stranger_with_the_inode_of_a_lease_is_left_alone(host, state):
    """ext4 gives an inode out again at once; where it does not, the old file has a second name."""
    hold = host.acquire(Ask(ONE))
    file = LeaseFile.of(hold.descriptor)
    stranger = Path(f"{file.path}.new")
    os.link(file.path, stranger)
    process = subprocess.Popen(
        [sys.executable, "-c", LISTENS, str(stranger)], stdout=subprocess.PIPE
    )
    process.stdout.readline()
    assert list(file.holders()) == []
    file.signal(process.pid, signal.SIGKILL)
    hold.release()
    file.signal(process.pid, signal.SIGKILL)
    assert process.poll() is None
    process.kill()
    process.communicate()


def test_what_was_released_is_not_ended(host, state):
    hold = host.acquire(Ask(ONE))
    file = LeaseFile.of(hold.descriptor)
    process = subprocess.Popen([sys.executable, "-c", LISTENS, file.path], stdout=subprocess.PIPE)
    process.stdout.readline()
    assert list(file.holders()) == [process.pid]
    host.release(hold.grant.environment_id)
    file.signal(process.pid, signal.SIGKILL)
    assert process.poll() is None
    hold.release()
    process.kill()
    process.communicate()


@pytest.mark.parametrize("spares", [False, True])
def test_a_keeper_whose_lease_is_gone_in_the_last_moment_ends_nobody(host, spares):
    """It looks once a second; then the next job of the user has the inode, on ext4."""
    hold = host.acquire(Ask(ONE))
    file = LeaseFile.of(hold.descriptor)
    stranger = f"{file.path}.new"
    os.link(file.path, stranger)
    process = subprocess.Popen([sys.executable, "-c", LISTENS, stranger], stdout=subprocess.PIPE)
    process.stdout.readline()
    hold.release()
    pid = os.fork()
    if pid == 0:
        shell = spared.Spared(os.getppid(), processes.starttime(os.getppid()), False)
        timekeeper._keep(file, processes.boottime_ns(), None, shell if spares else None)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert process.poll() is None
    process.kill()
    process.communicate()


def test_a_keeper_that_cannot_be_started_is_an_error_of_one_line(host, monkeypatch):
    def fail():
        raise OSError(11, "no more processes")

    hold = host.acquire(Ask(ONE, lasts=10))
    monkeypatch.setattr(os, "fork", fail)
    with pytest.raises(StateError, match="cannot keep the time of the environment"):
        hold.keep_time()
    hold.release()


def test_what_a_library_runs_under_a_hold_with_a_time_is_ended(host):
    hold = host.acquire(Ask(ONE, lasts=1))
    assert hold.run(["sleep", "60"]).returncode == 128 + signal.SIGTERM
    until(lambda: not host.snapshot().leases, "all is free")
    hold.release()


def test_the_end_of_a_lease_is_that_of_its_environment(host):
    lease = replace(host.blank("abcd1234", "", "", None), expires_ns=processes.boottime_ns())
    for each in (lease.expires_ns, lease.expires_ns + OVERTIME_NS - 1):
        assert lease.counts(held=True, boot_id=lease.boot_id, now_ns=each)
    assert not lease.counts(held=True, boot_id=lease.boot_id, now_ns=lease.expires_ns + OVERTIME_NS)
    assert not lease.counts(held=False, boot_id=lease.boot_id, now_ns=0)
