"""What is mine: status and smi inside of an environment, and chosen rows and columns."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import time

import pytest

from genvx.core.device import Device
from genvx.core.leases.claim import Owner
from genvx.core.leases.lease import Lease
from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.core.snapshot import Snapshot
from genvx.core.usage import DeviceProcess, DeviceUsage, Driver
from genvx.local import processes, use
from genvx.local.host import LocalHost
from genvx.shown import mine as shown
from tests.conftest import run_genvx
from tests.helpers import start_genvx, until


@pytest.fixture
def machine(state, monkeypatch):
    """Two environments that share device 0; we are in the first one, which has device 1, too."""
    monkeypatch.setenv("GENVX_SIMULATE", "4xA100-80GB")
    host = LocalHost()
    mine = host.acquire(Ask(Requirements(2, 40 << 30), name="mine", lasts=7200))
    other = host.acquire(Ask(Requirements(1, 20 << 30, devices=("0",)), name="other one"))
    for name, value in mine.grant.variables.items():
        monkeypatch.setenv(name, value)
    yield mine, other
    mine.release()
    other.release()


def ok(*arguments):
    answer = run_genvx(*arguments)
    assert (answer.returncode, answer.stderr) == (0, "")
    return answer.stdout


def refused(*arguments):
    answer = run_genvx(*arguments)
    assert (answer.returncode, answer.stdout) == (2, "")
    return answer.stderr


def test_status_tells_of_this_environment(machine):
    mine, other = machine
    lines = dict(line.split(None, 1) for line in ok("status").splitlines())
    assert lines["environment"] == f"mine ({mine.grant.environment_id})"
    assert lines["held"].startswith(f"by      {os.getpid()} (python")
    assert lines["ends"].startswith("in 1 h 59 m") or lines["ends"] == "in 2 h"
    text = ok("status")
    owner = mine.grant.owner
    assert (
        "GPU 0        40 GiB of 80 GiB, 0 % busy; its own: no process; shared with "
        f"{owner} other one ({other.grant.environment_id})\n"
    ) in text
    assert "GPU 1        40 GiB of 80 GiB, 0 % busy; its own: no process\n" in text


def test_status_warns_of_a_shell_that_sees_other_devices(machine, monkeypatch):
    assert "beware" not in ok("status")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert "beware" not in ok("status")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,7")
    assert (
        "beware       CUDA_VISIBLE_DEVICES is 1,7 in this shell: not what the environment holds"
    ) in ok("status")


def test_smi_shows_this_environment_only(machine):
    lines = ok("smi").splitlines()
    assert lines[0] == ("GPU  NAME                   MEMORY  USED   UTIL  OWN USED  OWN UTIL")
    assert [line.split()[0] for line in lines[1:3]] == ["0", "1"]
    assert lines[3:] == ["", "GPU  PID  USED  UTIL  COMMAND"]
    (host,) = json.loads(ok("smi", "--json"))["hosts"]
    assert [device["label"] for device in host["devices"]] == ["0", "1"]
    assert host["environment"]["name"] == "mine"


def test_smi_outside_of_an_environment_says_where_to_look(machine, monkeypatch):
    monkeypatch.delenv("GENVX_ENVIRONMENT_ID")
    assert "genvx devices shows all" in refused("smi")


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (("--name", "mine"), ["mine"]),
        (("--name", "o*"), ["other one"]),
        (("--name", "min"), []),
        (("--user", "nobody"), []),
        (("--user", str(os.geteuid())), ["mine", "other one"]),
        (("--pid", str(os.getpid())), ["mine", "other one"]),
        (("--pid", "1"), []),
        (("--name", "mine", "--user", "nobody"), []),
    ],
)
def test_environments_are_chosen(machine, options, names):
    assert ok("envs", *options, "--csv", "--no-header", "--fields", "name").splitlines() == names
    (host,) = json.loads(ok("envs", *options, "--json"))["hosts"]
    assert [env["name"] for env in host["environments"]] == names


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        (("--name", "mine"), ["0", "1"]),
        (("--name", "other one"), ["0"]),
        (("--user", "nobody"), []),
        ((), ["0", "1", "2", "3"]),
    ],
)
def test_devices_are_chosen(machine, options, labels):
    assert ok("devices", *options, "--csv", "--no-header", "--fields", "gpu").split() == labels
    (host,) = json.loads(ok("devices", *options, "--json"))["hosts"]
    assert [device["label"] for device in host["devices"]] == labels


def test_an_environment_is_chosen_by_its_id(machine):
    mine, _ = machine
    shown = ok("envs", "--name", mine.grant.environment_id, "--no-header", "--fields", "name")
    assert shown == "mine\n\nTotal 1 environments\n"


def test_fields_come_in_the_order_that_is_asked_for(machine):
    assert ok("envs", "--fields", "name, id").splitlines()[0].split() == ["NAME", "ID"]


def test_a_timestamp_is_since_when(machine):
    for verb, field in (("envs", "created"), ("devices", "since")):
        line = (verb, "--name", "mine", "--fields", field, "--csv", "--no-header", "--timestamp")
        since = datetime.datetime.fromisoformat(ok(*line).splitlines()[0])
        age = time.time() - since.timestamp()  # noqa: TID251  # it is the wall clock that is shown
        assert 0 < age < 600


def test_a_wrong_field_is_refused_with_those_that_there_are(machine):
    assert "no field 'x'; there are id, user, name," in refused("envs", "--fields", "id,x")
    assert "--json has all" in refused("devices", "--fields", "gpu", "--json")


@pytest.mark.needs("openssh")
def test_rows_and_columns_are_chosen_on_many_hosts(sandbox):
    line = ("run", "-g", "1", "--name", "far", "--", "sh", "-c", "echo there; cat")
    job = start_genvx("remote", *line, stdin=subprocess.PIPE)
    assert job.stdout.readline() == "there\n"
    rows = ok("remote", "envs", "--name", "far", "--fields", "host,name", "--csv").splitlines()
    assert rows[0] == "HOST,NAME"
    assert rows[1].endswith(",far")
    shown = ok("remote", "devices", "--name", "far", "--fields", "env", "--csv", "--no-header")
    assert shown == "far\n"
    job.communicate()


# Whose a process is


OWNER = Owner(os.geteuid(), "me")
GPU = Device("GPU-1", 0, "A100", 80 << 30)


def snapshot(processes, *environments):
    leases = tuple(
        Lease(
            devices=(GPU.uuid,),
            memory=1 << 30,
            id=f"{n:016x}",
            owner=OWNER,
            environment_id=env,
            name="",
            boot_id="b",
            since_ns=n,
        )
        for n, env in enumerate(environments)
    )
    usage = {GPU.uuid: DeviceUsage(processes=tuple(processes))}
    return Snapshot("h", "0", "b", 0, Driver(), (GPU,), usage, leases)


def process(pid, uid=OWNER.uid, memory=1 << 30, busy=None):
    return DeviceProcess(pid, uid, "me", "python", memory, True, busy)


@pytest.fixture
def started_in():
    """Starts a process in an environment."""
    started = []

    def start(environment):
        env = {**os.environ, "GENVX_ENVIRONMENT_ID": environment}
        started.append(subprocess.Popen(["sleep", "600"], env=env))
        # In the moment of its exec a process has no environment yet.
        until(lambda: processes.environment_of(started[-1].pid) == environment)
        return started[-1].pid

    yield start
    for each in started:
        each.kill()
        each.wait()


def test_a_process_is_of_the_environment_in_which_it_was_started(started_in):
    first, second = started_in("aaaa1111"), started_in("bbbb2222")
    seen = snapshot([process(first), process(second)], "aaaa1111", "bbbb2222")
    for env, pid in zip(seen.environments, (first, second), strict=True):
        assert [each.pid for each in use.own_processes(env, GPU, seen)] == [pid]


def test_a_process_that_tells_nothing_is_of_its_users_only_environment():
    gone = 2**22 + 1  # no pid is so great
    alone = snapshot([process(gone)], "aaaa1111")
    assert [each.pid for each in use.own_processes(alone.environments[0], GPU, alone)] == [gone]
    two = snapshot([process(gone)], "aaaa1111", "bbbb2222")
    assert use.own_processes(two.environments[0], GPU, two) == []


def test_another_users_process_is_not_ours():
    seen = snapshot([process(1, uid=OWNER.uid + 1)], "aaaa1111")
    assert use.own_processes(seen.environments[0], GPU, seen) == []


def test_memory_that_the_driver_does_not_tell_is_not_nothing():
    assert shown.used([process(1), process(2, memory=None)]) == "?"
    assert shown.used([process(1), process(2)]) == "2 GiB"
    assert shown.used([]) == "0 MiB"


def test_how_busy_processes_are_is_told_together_or_not_at_all():
    assert shown.busy([process(1, busy=12), process(2, busy=30)]) == "42 %"
    assert shown.busy([process(1, busy=12), process(2, busy=None)]) == "?"
    assert shown.busy([]) == "0 %"
