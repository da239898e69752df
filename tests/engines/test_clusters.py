"""Clusters of real engines on two hosts: what programs see, and what is left."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import venv

import pytest

from tests.conftest import run_genvx
from tests.engines.seen import nothing_is_left, processes_with
from tests.helpers import end, genvx_env, held_on_hosts, on_hosts, start_genvx, until

pytestmark = pytest.mark.needs("openssh")

# Each of these is what people write: the cluster is found without a word of genvx.
DASK = """
import json, os, time
from distributed import Client
def seen(_):
    time.sleep(0.2)
    return os.environ["NODE_RANK"], os.environ["CUDA_VISIBLE_DEVICES"]
with Client() as client:
    print(json.dumps(sorted(set(client.gather(client.map(seen, range(16)))))))
raise SystemExit(3)
"""
RAY = """
import json, os, time, ray
ray.init(log_to_driver=False)
@ray.remote(num_gpus=1)
def seen():
    time.sleep(2)
    return os.environ["NODE_RANK"], os.environ["CUDA_VISIBLE_DEVICES"]
gpus = int(ray.cluster_resources()["GPU"])
print(json.dumps(sorted(ray.get([seen.remote() for _ in range(gpus)]))))
raise SystemExit(3)
"""
# A program with clusters of its own, which is killed in the middle.
HOLDER = """
import os, signal, sys, genvx
from distributed import Client
def seen():
    return os.environ["CUDA_VISIBLE_DEVICES"]
with genvx.Fleet.from_hostfile(os.environ["GENVX_HOSTFILE"]) as fleet:
    more = {"python": sys.argv[1], "env": {"GENVX_TEST_TOKEN": sys.argv[2]}}
    with genvx.dask.Cluster(fleet, nodes=1, **more) as cluster, Client(cluster) as client:
        print(len(client.run(seen)), flush=True)
        cluster.scale(2)
        client.wait_for_workers(2)
        print(len(set(client.run(seen).values())), flush=True)
        input()
        cluster.scale(1)
        input()
        cluster.adapt(minimum=0, maximum=2, interval="200ms", wait_count=1)
        input()
        print(client.submit(seen).result(60) != "", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
"""


def see(engine, program, python, token):
    """Run a program on a cluster; return its exit code, and the GPUs that its tasks saw."""
    answer = run_genvx(
        *("remote", "cluster", engine, "-N", "2", "-g", "1", "--python", python),
        # A profile of somebody may have another token of Ray's.
        *("--env", f"GENVX_TEST_TOKEN={token}", "--env", "RAY_AUTH_TOKEN=another"),
        *("--", "python3", "-c", program),
        timeout=140,
    )
    lines = [line for line in answer.stdout.splitlines() if line.startswith("[")]
    assert lines, answer.stdout + answer.stderr
    return answer.returncode, json.loads(lines[0])


def test_a_program_finds_dask_on_the_leased_gpus_of_two_hosts_and_its_end_ends_all(
    hosts, python, token
):
    code, tasks = see("dask", DASK, python, token)
    assert code == 3
    assert [rank for rank, _ in tasks] == ["0", "1"], tasks
    assert all("," not in device for _, device in tasks), tasks
    nothing_is_left(token)


def leases():
    """How many environments hold GPUs; that of a scheduler holds none."""
    return sum(bool(env.devices) for snap in on_hosts() for env in snap.environments)


def test_a_dask_cluster_of_a_program_takes_and_gives_leases_by_scale_and_adapt_until_it_is_killed(
    hosts, python, token
):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, python, token],
        env=genvx_env(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout.readline() == "1\n", process.communicate()[1]
            assert process.stdout.readline() == "2\n", process.communicate()[1]
            assert leases() == 2
            for left in (1, 0):
                process.stdin.write("\n")
                process.stdin.flush()
                until(lambda left=left: leases() == left, "leases end", patience=60)
            out, err = process.communicate("\n", timeout=90)
            assert (out, process.returncode) == ("True\n", -signal.SIGKILL), err
        finally:
            process.kill()
    nothing_is_left(token)


def test_an_engine_that_is_not_installed_is_one_line_that_says_what_to_install(hosts, tmp_path):
    venv.create(tmp_path / "bare", with_pip=False)
    answer = run_genvx("remote", "cluster", "ray", "-N", "2", "--python", str(tmp_path / "bare"))
    assert answer.returncode == 1
    (line,) = [each for each in answer.stderr.splitlines() if "not installed" in each]
    assert "pip install 'ray[default]' there" in line
    assert "Traceback" not in answer.stderr
    until(lambda: not held_on_hosts())


def test_a_command_that_is_not_there_is_said_before_the_engine_starts(hosts):
    python = ("--python", sys.executable)
    answer = run_genvx("remote", "cluster", "dask", "-N", "2", *python, "--", "no-such-program")
    assert answer.returncode == 127
    assert answer.stderr.endswith("genvx: gpu-server-1: command not found: no-such-program\n")
    assert "is ready" not in answer.stderr
    until(lambda: not held_on_hosts())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["spark"], "there is no engine 'spark': it is ray or dask"),
        (["dask", "python", "x.py"], "write the command after --"),
        (["dask", "-N", "0"], "--nodes"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_happens(hosts, words, said):
    answer = run_genvx("remote", "cluster", *words)
    assert answer.returncode == 2
    assert said in answer.stderr
    assert not held_on_hosts()


@pytest.mark.needs("ray")
@pytest.mark.timeout(300)
def test_a_program_finds_ray_on_the_leased_gpus_of_two_hosts_and_its_end_ends_all(
    hosts, python, token
):
    code, tasks = see("ray", RAY, python, token)
    assert code == 3
    assert [rank for rank, _ in tasks] == ["0", "1"], tasks
    assert all("," not in device for _, device in tasks), tasks
    nothing_is_left(token)


RAY_FROM_HERE = """
import json, os, sys, ray
ray.init(sys.argv[1])
@ray.remote(num_gpus=1)
def seen():
    return os.environ["CUDA_VISIBLE_DEVICES"]
print(json.dumps(sorted(ray.get([seen.remote() for _ in range(2)]))))
"""


@pytest.mark.needs("ray")
@pytest.mark.timeout(300)
def test_a_program_of_this_machine_reaches_a_held_ray_cluster_through_a_tunnel(
    hosts, python, token
):
    process = start_genvx(
        *("remote", "cluster", "ray", "-N", "2", "-g", "1", "--python", python),
        *("--env", f"GENVX_TEST_TOKEN={token}"),
    )
    try:
        address = process.stdout.readline().strip()
        lines = []
        while not (said := process.stderr.readline()).count("export "):
            assert said, "".join(lines)
            lines.append(said)
        answer = subprocess.run(
            [
                *("sh", "-c", f'{said[said.index("export ") :]}\nexec "$@"', "sh"),
                *(sys.executable, "-c", RAY_FROM_HERE, address),
            ],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert answer.returncode == 0, answer.stderr
        assert all(each.startswith("SIM-") for each in json.loads(answer.stdout))
    finally:
        end(process)
    nothing_is_left(token)


# The word in the command line of what is killed.
HEADS = {"ray": "gcs_server", "dask": "scheduler"}
WORKERS = {"ray": "raylet", "dask": "worker"}


def _victim(engine, kind, token):
    word = (HEADS if kind == "head" else WORKERS)[engine]
    for pid in processes_with("GENVX_TEST_TOKEN", token):
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().decode(errors="replace").split("\0")
        if any(each == word or each.endswith("/" + word) for each in words[:4]):
            return pid
    raise AssertionError(f"no {word}")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("engine", [pytest.param("ray", marks=pytest.mark.needs("ray")), "dask"])
@pytest.mark.parametrize("kind", ["ctrl-c", "client", "head", "worker"])
def test_nothing_is_left_of_a_held_cluster_whatever_is_killed(hosts, python, token, engine, kind):
    process = start_genvx(
        *("remote", "cluster", engine, "-N", "2", "-g", "1", "--python", python),
        *("--env", f"GENVX_TEST_TOKEN={token}"),
    )
    try:
        address = process.stdout.readline()
        assert re.fullmatch(r"(ray|tls)://127\.0\.0\.\d+:\d+\n", address), process.communicate()[1]
        if kind == "ctrl-c":
            process.send_signal(signal.SIGINT)
        elif kind == "client":
            process.kill()
        else:
            os.kill(_victim(engine, kind, token), signal.SIGKILL)
        nothing_is_left(token)
        assert process.wait(30) == {"ctrl-c": 130, "client": -signal.SIGKILL}.get(kind, 1)
    finally:
        end(process)
