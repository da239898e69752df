"""Jobs on several pretend hosts over real SSH."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys

import pytest

from genvx.core.gang import in_order
from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.fleet.fleet import connect_fleet
from genvx.fleet.hosts.hostfile import load
from tests.conftest import run_genvx
from tests.helpers import end, genvx_argv, genvx_env, on_hosts, start_genvx, until

pytestmark = pytest.mark.needs("openssh")


@pytest.fixture
def fleet(make_sandbox):
    with connect_fleet(load(make_sandbox("2", "2").hostfile)) as found:
        yield found


def run(*arguments):
    return run_genvx("remote", "-q", "run", "-N", "2", "-g", "2", *arguments)


def held():
    return [sum(len(lease.devices) for lease in snapshot.leases) for snapshot in on_hosts()]


def waits():
    return sum(len(snapshot.tickets) for snapshot in on_hosts())


@pytest.fixture
def start():
    """Starts a job on two hosts; it ends with the test."""
    started = []

    def start(*arguments):
        process = start_genvx(
            *("remote", "run", "-N", "2", "-g", "2", *arguments), env={"PYTHONUNBUFFERED": "1"}
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.returncode is None:
            end(process)


def test_the_command_sees_its_place_in_the_gang_and_output_says_whose_it_is(fleet):
    answer = run(
        "--", "sh", "-c",
        "echo $NODE_RANK/$NNODES $NPROC_PER_NODE $WORLD_SIZE $GENVX_NODES $MASTER_ADDR"
        " $GENVX_DEVICES; echo oops >&2; printf rest",
    )  # fmt: skip
    assert answer.returncode == 0
    nodes = "gpu-server-1,gpu-server-2"
    assert sorted(answer.stdout.splitlines()) == [
        f"gpu-server-1 | 0/2 2 4 {nodes} 127.0.0.1 0,1",
        "gpu-server-1 | rest",
        f"gpu-server-2 | 1/2 2 4 {nodes} 127.0.0.1 0,1",
        "gpu-server-2 | rest",
    ]
    assert sorted(answer.stderr.splitlines()) == ["gpu-server-1 | oops", "gpu-server-2 | oops"]


def test_it_says_where_it_landed_a_line_a_host(fleet, start):
    process = start("--", "true")
    lines = process.communicate(timeout=20)[1].splitlines()
    assert [line.rpartition(" ")[0] for line in lines] == [
        f"genvx: on gpu-server-{n}: GPU 0, 1; environment" for n in (1, 2)
    ]


def test_all_see_one_port_on_which_nobody_listens(fleet):
    answer = run("--", "printenv", "MASTER_PORT")
    (port,) = {line.split(" | ")[1] for line in answer.stdout.splitlines()}
    assert 1024 <= int(port) < 65536


def test_the_first_failure_ends_all_and_its_code_is_the_gangs(fleet):
    answer = run("--", "sh", "-c", "test $NODE_RANK = 0 && exec sleep 60; exit 7")
    assert answer.returncode == 7
    assert answer.stderr == "genvx: gpu-server-2: exit code 7; the others are ended\n"
    until(lambda: held() == [0, 0], "all is free")


def test_a_command_that_is_nowhere_is_refused_and_nothing_is_held(fleet):
    answer = run("--", "no-such-command")
    assert answer.returncode == 127
    assert re.fullmatch(
        r"genvx: gpu-server-[12]: command not found: no-such-command\n", answer.stderr
    )
    until(lambda: held() == [0, 0], "all is free")


def test_a_gang_that_is_killed_is_rolled_back(fleet, start):
    process = start("--", "sleep", "60")
    until(lambda: held() == [2, 2], "it runs")
    process.kill()
    process.communicate()
    until(lambda: held() == [0, 0], "all is free")


def test_a_gang_that_is_killed_while_half_of_it_waits_is_rolled_back(fleet, start):
    with _busy(fleet):
        process = start("--wait", "--", "true")
        until(lambda: waits() == 1, "half of it waits")
        process.kill()
        process.communicate()
        until(lambda: sum(held()) == 2 and waits() == 0, "rolled back")


def _busy(fleet):
    """Hold the host that comes last in everybody's order, so that the other is taken first."""
    seen = fleet.snapshot().values()
    return fleet.host(in_order(list(seen), seen)[-1]).acquire(Ask(Requirements(2)))


@pytest.mark.needs("bash")
@pytest.mark.parametrize("nodes", ["1", "2"])
def test_a_job_whose_output_nobody_reads_any_more_ends_everywhere(fleet, nodes):
    command = shlex.join(genvx_argv("remote", "-q", "run", "-N", nodes, "-g", "2", "--", "yes"))
    answer = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{command} | head -n 1"],
        env=genvx_env(),
        capture_output=True,
        text=True,
    )
    assert (answer.returncode, answer.stderr) == (0, "")
    until(lambda: held() == [0, 0], "all is free")


def test_ctrl_c_goes_to_all(fleet, start):
    process = start(
        "--", "sh", "-c", "trap 'echo caught; exit 3' INT; echo ready; while :; do sleep 0.1; done"
    )
    assert {process.stdout.readline(), process.stdout.readline()} == {
        "gpu-server-1 | ready\n",
        "gpu-server-2 | ready\n",
    }
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate()
    assert "caught" in out
    assert process.returncode == 3
    until(lambda: held() == [0, 0], "all is free")


def test_nodes_are_of_remote_hosts(state):
    answer = run_genvx("run", "-N", "2", "-g", "1", "--", "true")
    assert (answer.returncode, answer.stderr) == (
        2,
        "genvx: --nodes is for the hosts of genvx remote\n",
    )


ALL_REDUCE = """
import os, torch, torch.distributed as dist
dist.init_process_group("gloo")
x = torch.tensor([float(dist.get_rank() + 1)])
dist.all_reduce(x)
print(f"rank {dist.get_rank()} of {dist.get_world_size()}: {x.item():g}", flush=True)
dist.destroy_process_group()
"""


@pytest.mark.needs("torch")
@pytest.mark.timeout(240)
@pytest.mark.parametrize("launcher", [False, True])
def test_torchrun_finds_its_nodes_and_all_reduces(fleet, tmp_path, launcher):
    """Four processes on two hosts; no argument of torchrun says so."""
    program = tmp_path / "reduce.py"
    program.write_text(ALL_REDUCE)
    here = os.path.dirname(sys.executable)
    if launcher:
        python = ("-d", "-w", "--python", os.path.dirname(here))
        answer = run(*python, "--launcher", "torchrun", "--", str(program))
    else:
        answer = run("--", f"{here}/torchrun", str(program))
    assert answer.returncode == 0, answer.stderr
    lines = [line.rpartition(" | ")[2] for line in answer.stdout.splitlines()]
    found = sorted(line for line in lines if line.startswith("rank"))
    assert found == [f"rank {rank} of 4: 10" for rank in range(4)]
