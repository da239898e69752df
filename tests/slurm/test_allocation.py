"""An allocation of a real cluster becomes hosts, and is given back."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import run_genvx
from tests.doors import Door, door
from tests.helpers import Terminal, genvx_argv, genvx_env, start_genvx, until
from tests.slurm.cluster import NODE, OTHER, Cluster, cluster

pytestmark = [pytest.mark.needs("slurm"), pytest.mark.needs("root"), pytest.mark.needs("openssh")]


@dataclass
class Lab:
    """A cluster, its login node, and a remote for one test."""

    cluster: Cluster
    login: Door
    name: str
    environ: dict[str, str]

    def genvx(self, *words: str, **options) -> subprocess.CompletedProcess[str]:
        return run_genvx(*words, env=self.environ, **options)

    def remote(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.genvx("--remote", self.name, *words)

    def start(self) -> None:
        said = self.genvx("remotes", "start", self.name)
        assert said.returncode == 0, said.stderr

    def jobs(self) -> list[str]:
        return self.cluster.jobs()


@pytest.fixture(scope="module")
def made() -> Iterator[tuple[Cluster, Door]]:
    directory = Path(f"/var/tmp/genvx-slurm-{os.getpid()}-{secrets.token_hex(4)}")
    (directory / "door").mkdir(parents=True)
    directory.chmod(0o711)
    try:
        with cluster(directory) as found:
            more = {"SLURM_CONF": found.conf, "GENVX_SIMULATE": "4xA100-80GB"}
            with door("openssh", directory / "door", more=more) as login:
                yield found, login
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def lab(made, tmp_path) -> Iterator[Lab]:
    found, login = made
    remotes, name = tmp_path / "remotes.yml", f"lab-{secrets.token_hex(3)}"
    remotes.write_text(
        f"""\
remotes:
  {name}:
    type: slurm
    host: door
    private-key: {login.key}
    partition: gpu
    gpus: 2
    time: 20m
  {name}-nope: {{extends: {name}, partition: nope}}
  {name}-long: {{extends: {name}, time: 5h}}
  {name}-many: {{extends: {name}, gpus: 9}}
  {name}-two: {{extends: {name}, partition: pair, nodes: 2, cpus: 2}}
  {name}-ssh: {{type: ssh, host: door, private-key: {login.key}}}
"""
    )
    environ = {**login.environ(), "GENVX_REMOTES": str(remotes)}
    yield Lab(found, login, name, environ)
    for job in found.jobs():
        found.ask("scancel", job)
    # A slurmd on a busy machine may say late that a job is cleared away.
    until(lambda: not found.jobs(), "no job is left", patience=150)


def _gpus(lab: Lab, name: str = "") -> list[str]:
    said = lab.genvx("--remote", name or lab.name, "devices", "--json")
    assert said.returncode == 0, said.stderr
    (host,) = json.loads(said.stdout)["hosts"]
    return [str(device["index"]) for device in host["devices"]]


def test_an_allocation_becomes_a_host_with_its_gpus_and_is_given_back(lab):
    said = lab.genvx("remotes", "start", lab.name)
    assert said.returncode == 0, said.stderr
    (job,) = lab.jobs()
    about = re.escape(f"{lab.name} (job {job}, {NODE}, ends in ")
    ends = re.search(about + r"(\d+) min\) is available", said.stdout)
    # It was asked for 20 minutes; how many of them have passed by now, the machine decides.
    assert ends is not None, said.stdout
    assert 15 <= int(ends[1]) <= 20
    # The node has four; Slurm gave two.
    assert _gpus(lab) == ["0", "1"]
    assert f"{lab.name}: the job of Slurm ends in " in lab.remote("devices").stderr

    told = lab.remote(
        *("run", "--gpus", "1", "--", "sh", "-c"),
        "echo $SLURM_JOB_ID $SLURM_JOB_NAME; echo e >&2; exit 7",
    )
    assert (told.returncode, told.stdout) == (7, f"{job} interactive\n")
    assert told.stderr.splitlines()[-1] == "e"

    told = lab.genvx("remotes", "stop", lab.name, "-y")
    assert told.returncode == 0, told.stderr
    assert f"job {job} is given back" in told.stderr
    assert lab.jobs() == []  # waiting, running or ending
    told = lab.remote("devices")
    assert told.returncode == 2
    assert f"job {job} is CANCELLED" in told.stderr


def test_a_detached_run_lives_as_long_as_the_allocation_and_no_longer(lab, tmp_path):
    lab.start()
    mark = tmp_path / "pid"
    said = lab.remote(
        "run", "-d", "--gpus", "1", "--", "sh", "-c", f"echo $$ >{mark}; exec sleep 600"
    )
    assert said.returncode == 0, said.stderr
    pid = int(str(until(lambda: mark.exists() and mark.read_text().strip(), "it runs")))
    # Its connection is gone, and so is the step that carried it.
    until(
        lambda: len(lab.cluster.ask("squeue", "-h", "-s", "-o", "%i").split()) == 2,
        "the steps are those of the job itself",
    )
    os.kill(pid, 0)
    assert lab.genvx("remotes", "stop", lab.name, "-y").returncode == 0
    until(lambda: not os.path.exists(f"/proc/{pid}"), "it has ended with the allocation")


def _cancel(cluster: Cluster, job: str) -> None:
    cluster.ask("scancel", job)


def _preempt(cluster: Cluster, job: str) -> None:
    words = ("-p", "urgent", "--gres=gpu:2", "-t", "10", "-o", "/dev/null", "--wrap", "sleep 600")
    cluster.ask("sbatch", *words)


def _fail(cluster: Cluster, job: str) -> None:
    cluster.ask("scontrol", "update", f"NodeName={NODE}", "State=DOWN", "Reason=test")


def _end(cluster: Cluster, job: str) -> None:
    # The least that one can ask for is a minute.
    cluster.ask("scontrol", "update", f"JobId={job}", "EndTime=now")


@pytest.mark.parametrize(
    ("happens", "state"),
    [
        (_cancel, "CANCELLED"),
        (_preempt, "PREEMPTED"),
        (_fail, "NODE_FAIL"),
        (_end, "TIMEOUT (TimeLimit)"),
    ],
)
def test_a_run_that_loses_its_allocation_is_told_why(lab, happens, state):
    lab.start()
    (job,) = lab.jobs()
    run = start_genvx(
        *("--remote", lab.name, "run", "--gpus", "1", "--", "sh", "-c", "echo on; exec sleep 600"),
        env=lab.environ,
    )
    assert run.stdout is not None
    assert run.stdout.readline() == "on\n"
    happens(lab.cluster, job)
    try:
        _, errors = run.communicate(timeout=120)
    finally:
        if happens is _fail:
            # With ReturnToService=2 it need not be resumed.
            until(lab.cluster.idle, "the node is back")
    assert run.returncode != 0, errors
    assert f"genvx: job {job} of Slurm, which had {NODE}, has ended: {state}" in errors
    said = lab.remote("devices")
    assert said.returncode == 2
    assert f"has no allocation any more: job {job} is {state}" in said.stderr


def test_an_allocation_of_several_nodes_is_as_many_hosts(lab, tmp_path):
    name = f"{lab.name}-two"
    said = lab.genvx("remotes", "start", name)
    assert said.returncode == 0, said.stderr
    assert f", {NODE},{OTHER}, ends in " in said.stdout
    told = lab.genvx("--remote", name, "devices", "--json")
    hosts = json.loads(told.stdout)["hosts"]
    assert [(host["host"], len(host["devices"])) for host in hosts] == [(NODE, 2), (OTHER, 2)]

    # A run on both, which goes on without its connections, with all CPUs of the job.
    line = "echo $$ $(nproc) >$0/new-$SLURMD_NODENAME; cd $0"
    line += "; mv new-$SLURMD_NODENAME $SLURMD_NODENAME; exec sleep 600"
    words = ("run", "-d", "-N", "2", "--gpus", "2", "--master-addr", "127.0.0.1", "--")
    said = lab.genvx("--remote", name, *words, "sh", "-c", line, str(tmp_path))
    assert said.returncode == 0, said.stderr
    pids = []
    for node in (NODE, OTHER):
        place = tmp_path / node
        until(place.exists, f"it runs on {node}")
        pid, cpus = place.read_text().split()
        assert cpus == "2"
        pids.append(int(pid))
    assert lab.genvx("remotes", "stop", name, "-y").returncode == 0
    until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids), "both have ended")


def test_two_starts_at_once_have_one_allocation(lab):
    both = [start_genvx("remotes", "start", lab.name, env=lab.environ) for _ in range(2)]
    for each in both:
        _, errors = each.communicate(timeout=60)
        assert each.returncode == 0, errors
    assert len(lab.jobs()) == 1


def test_a_killed_start_is_found_again_by_the_next(lab):
    first = start_genvx("remotes", "start", lab.name, env=lab.environ)
    (job,) = until(lab.jobs, "a job is in the queue")  # type: ignore[misc]
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    said = lab.genvx("remotes", "start", lab.name)
    assert said.returncode == 0, said.stderr
    assert lab.jobs() == [job]
    assert lab.genvx("remotes", "stop", lab.name, "-y").returncode == 0
    assert lab.jobs() == []


def test_who_waits_is_told_the_reason_and_stays_in_the_queue(lab):
    lab.cluster.ask("sbatch", "--gres=gpu:2", "-t", "10", "-o", "/dev/null", "--wrap", "sleep 600")
    said = lab.genvx("remotes", "start", lab.name, "--timeout", "3s")
    assert said.returncode == 124
    assert "is PENDING (Resources); it stays in the queue" in said.stderr
    assert len(lab.jobs()) == 2
    assert lab.genvx("remotes", "stop", lab.name, "-y").returncode == 0
    assert len(lab.jobs()) == 1


@pytest.mark.parametrize(
    ("which", "why"),
    [
        ("nope", "sbatch says: invalid partition specified: nope; Invalid partition name"),
        ("many", "sbatch says: Requested node configuration is not available"),
        ("long", "PartitionTimeLimit: time is more than the partition allows"),
    ],
)
def test_what_slurm_refuses_is_one_line_and_leaves_nothing_in_the_queue(lab, which, why):
    said = lab.genvx("remotes", "start", f"{lab.name}-{which}")
    assert said.returncode not in (0, 1)
    assert why in said.stderr.splitlines()[-1]
    assert "Traceback" not in said.stderr
    assert lab.jobs() == []


def test_a_shell_on_a_node_has_a_terminal_of_its_own(lab):
    lab.start()
    argv = genvx_argv("--remote", lab.name, "activate", "--gpus", "1")
    terminal = Terminal(argv, genvx_env(**lab.environ))
    terminal.expect("genvx")
    terminal.line("tty; echo job-$SLURM_JOB_ID-$((1+1))")
    terminal.expect(f"job-{lab.jobs()[0]}-2")
    assert _gpus(lab) == ["0", "1"]
    terminal.line("exit 3")
    assert terminal.end() == 3


def test_inside_of_an_allocation_only_the_gpus_of_the_job_are_there(lab, tmp_path):
    script = tmp_path / "inside.sh"
    genvx = " ".join(genvx_argv())
    script.write_text(
        "#!/bin/sh\n"
        f"{genvx} devices --json >{tmp_path}/first\n"
        f"{genvx} run --gpus 1 -- {genvx} devices --json >{tmp_path}/second\n"
        f"{genvx} run --gpus 2 -- true || echo refused\n"
    )
    environ = {**genvx_env(), "SLURM_CONF": lab.cluster.conf, "GENVX_SIMULATE": "4xA100-80GB"}
    environ["GENVX_STATE_DIR"] = str(tmp_path / "state")
    said = subprocess.run(
        ["srun", "--gres=gpu:1", "-t", "5", "sh", str(script)],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert said.stdout == "refused\n", said.stderr
    for each in ("first", "second"):
        (host,) = json.loads((tmp_path / each).read_text())["hosts"]
        assert [device["index"] for device in host["devices"]] == [0]


def test_output_comes_as_it_is_written_and_files_travel(lab, tmp_path):
    lab.start()
    # Slurm holds back a line that has not ended, unless it is told not to.
    run = start_genvx(
        *("--remote", lab.name, "run", "--gpus", "1", "--"),
        *("sh", "-c", "printf on; test -t 1 && printf tty; exec cat"),
        env=lab.environ,
        stdin=subprocess.PIPE,
    )
    assert run.stdin is not None
    assert run.stdout is not None
    assert run.stdout.read(2) == "on"
    out, _ = run.communicate("in", timeout=60)
    assert out == "in"

    project = tmp_path / "project"
    project.mkdir()
    (project / "here").write_text("data")
    words = ("--project", str(project), "--", "cp", "here", "there")
    made = lab.remote("run", "-d", "--gpus", "1", *words).stdout.strip()
    pulled = lab.remote("pull", made, str(tmp_path / "pulled"))
    assert pulled.returncode == 0, pulled.stderr


def test_tunnels_to_a_node_are_refused_in_one_line(lab):
    lab.start()
    run = lab.remote("run", "-d", "--gpus", "1", "--", "sleep", "600").stdout.strip()
    said = lab.remote("tunnel", run, "8080")
    assert said.returncode == 2
    assert "tunnels are not possible there" in said.stderr
