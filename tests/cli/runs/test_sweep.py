"""genvx sweep on real hosts over SSH: trials, a killed process, Ctrl-C, and files for NNI."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from pathlib import Path

import pytest

from tests.cli.look.test_json import checked
from tests.conftest import run_genvx
from tests.doors import door
from tests.helpers import Terminal, genvx_argv, genvx_env, start_genvx, until

pytestmark = pytest.mark.needs("openssh")

# Each trial claims its GPU by a directory, which no other may have at that time.
_CLAIMS = """
mkdir "$HOME/$CUDA_VISIBLE_DEVICES" || echo "$GENVX_TRIAL" >> {place}/clash
echo "$GENVX_TRIAL" >> {place}/begun
sleep 0.4
rmdir "$HOME/$CUDA_VISIBLE_DEVICES"
echo {{lr}} >> "$GENVX_REPORT"
"""


@pytest.fixture(autouse=True)
def own_sweeps(monkeypatch, short_tmp):
    monkeypatch.setenv("XDG_DATA_HOME", str(short_tmp / "data"))


def sweep(*words):
    return ("remote", "sweep", "--tuner", "random", "-P", "lr=0..1", "-g", "1", *words)


def begun(place):
    path = Path(place, "begun")
    return sorted(map(int, path.read_text().split())) if path.exists() else []


def test_no_trial_runs_twice_when_the_process_of_a_sweep_is_killed(sandbox, short_tmp):
    script = _CLAIMS.format(place='"$PLACE"')
    set_up = f"export PLACE={short_tmp}"
    command = ("--trials", "8", "--setup", set_up, "--", "sh", "-c", script)
    process = start_genvx(*sweep(*command))
    until(lambda: len(begun(short_tmp)) >= 2)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    listed = checked(run_genvx("sweeps", "list", "--json"))["sweeps"]
    assert [each["state"] for each in listed] == ["left"]
    ended = checked(run_genvx("sweeps", "resume", "--json"))
    assert ended["sweep"]["counts"] == {"completed": 8}
    assert begun(short_tmp) == list(range(8))
    assert not Path(short_tmp, "clash").exists()
    values = {each["number"]: each["value"] for each in ended["trials"]}
    assert values == {each["number"]: each["parameters"]["lr"] for each in ended["trials"]}
    best = ended["trials"][ended["sweep"]["best"]]
    assert best["value"] == max(values.values())
    # A trial is a run like others.
    (run,) = checked(run_genvx("remote", "runs", "info", best["run"], "--json"))["hosts"][0]["runs"]
    assert run["reported"]["value"] == best["value"]
    assert run["trial"]["parameters"] == best["parameters"]
    shown = run_genvx("sweep", "show", "1", "--plot").stdout
    assert f"best:     trial {best['number']}, value" in shown
    exported = run_genvx("sweep", "export").stdout.splitlines()
    assert exported[0] == "TRIAL,STATE,VALUE,SECONDS,HOST,RUN,lr"
    assert len(exported) == 9


def test_ctrl_c_asks_and_once_more_leaves_the_trials(sandbox, short_tmp):
    words = sweep("--trials", "9", "--", "sleep", "1000")
    terminal = Terminal(genvx_argv(*words), genvx_env())
    terminal.expect("3 running")
    terminal.key("\x03")
    terminal.expect("[s/l/g]")
    terminal.line("g")
    terminal.key("\x03")
    terminal.expect("[s/l/g]")
    terminal.key("\x03")
    assert terminal.end() == 130
    stopped = run_genvx("sweeps", "stop")
    assert stopped.returncode == 0, stopped.stderr
    (shown,) = checked(run_genvx("sweeps", "list", "--json"))["sweeps"]
    assert (shown["state"], shown["reason"]) == ("ended", "stopped")
    assert set(shown["counts"]) == {"cancelled"}
    assert "running" not in run_genvx("remote", "runs", "-a").stdout


def test_a_pattern_finds_values_and_one_that_takes_for_ever_is_given_up(sandbox):
    found = run_genvx(
        *sweep("--trials", "2", "--metric", "acc=([0-9.]+)", "--", "echo", "x acc={lr} y")
    )
    assert re.search(r"trial 0  completed  value 0\.\d+", found.stdout), found.stderr
    line = "a" * 40 + "!"
    slow = run_genvx(
        *sweep("--trials", "1", "--metric", "((a+)+)+$", "--", "echo", f"{line} {{lr}}")
    )
    assert "--metric takes more than 2 s on a line of output" in slow.stderr
    assert "trial 0  completed" in slow.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-P", "lr=0..1", "--trials", "2"), "no command to run"),
        (("--trials", "2", "--", "x"), "no parameters; give -P for each"),
        (("tensorbord",), "did you mean genvx sweep tensorboard?"),
        (("--on", "a", "--optuna-storage", "s", "-P", "a=1", "--", "x"), "does not go with --on"),
        (("-P", "lr=0..1", "--", "x", "{lr}"), "say how many trials there are"),
        (("-P", "lr=0..1", "--trials", "2", "--", "x", "{lx}"), "did you mean {lr}?"),
        (("-P", "a=1,2", "--maximize", "--minimize", "--", "x"), "either --maximize or"),
        (("-P", "a=1,2", "--metric", "x", "--", "x"), "--metric has no group"),
        (("-P", "a=1,2", "--tuner", "nothing", "--", "x"), "nothing"),
        (("-P", "a=1,2", "--python", "auto", "--", "x"), "--python auto needs a project"),
        (("--config", "/nowhere.yml"), "no such file: /nowhere.yml"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_written(state, words, said):
    answer = run_genvx("sweep", *words)
    assert answer.returncode == 2
    assert said in answer.stderr
    assert "no sweep" in run_genvx("sweeps", "show").stderr


# As NNI's documentation of its remote mode has it, but for hosts and ports.
_CONFIG = """\
searchSpaceFile: search_space.json
trialCommand: python3 mnist.py
trialCodeDirectory: .  # default value, can be omitted
trialGpuNumber: 0
trialConcurrency: 4
maxTrialNumber: 20
tuner:
  name: TPE
  classArgs:
    optimize_mode: maximize
trainingService:
  platform: remote
  machineList:
    - host: 127.0.0.1
      port: {alice.port}
      user: alice
      ssh_key_file: ~/.ssh/id_rsa
    - host: 127.0.0.1
      port: {bob.port}
      user: bob
      password: bob123
"""
_SPACE = {
    "lr": {"_type": "loguniform", "_value": [0.0001, 0.1]},
    "batch_size": {"_type": "choice", "_value": [16, 32, 64]},
    "hidden_size": {"_type": "randint", "_value": [1, 10]},
}
# It holds a lock on each of its GPUs, which no other trial of that host may have at that time.
_MNIST = """\
import fcntl, os, time
import nni
gpus = [each for each in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if each]
locks = [open(os.path.expanduser(f"~/{gpu}"), "a") for gpu in gpus]
for lock in locks:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
params = {"lr": 1.0}
params.update(nni.get_next_parameter())
time.sleep(0.1)
for epoch in range(2):
    nni.report_intermediate_result(params["lr"] * epoch)
nni.report_final_result(params["lr"] * params["hidden_size"] + 100 * len(gpus))
"""


@pytest.fixture
def experiment(short_tmp, monkeypatch):
    """The directory of an experiment of NNI on two hosts: one with a key, one with a password."""
    directory, home = short_tmp / "mnist-pytorch", short_tmp / "home"
    for each in (directory, home / ".ssh", short_tmp / "a", short_tmp / "b"):
        each.mkdir(parents=True)
    with (
        door("openssh", short_tmp / "a", user="alice") as alice,
        door("openssh", short_tmp / "b", "PubkeyAuthentication no", user="bob") as bob,
    ):
        shutil.copy(alice.key, home / ".ssh" / "id_rsa")
        known = "".join(f"[127.0.0.1]:{each.port} {each.host_key}\n" for each in (alice, bob))
        (home / "known_hosts").write_text(known)
        lines = ("IdentityAgent none", f"UserKnownHostsFile {home}/known_hosts")
        (home / "ssh_config").write_text("\n".join(lines))
        monkeypatch.setenv("HOME", str(home))
        monkeypatch.setenv("GENVX_SSH_CONFIG", str(home / "ssh_config"))
        config = directory / "config_remote.yml"
        config.touch(0o600)
        config.write_text(_CONFIG.format(alice=alice, bob=bob))
        (directory / "search_space.json").write_text(json.dumps(_SPACE))
        (directory / "mnist.py").write_text(_MNIST)
        yield directory


@pytest.mark.needs("root", "namespaces")
def test_an_experiment_of_nni_runs_as_it_is(experiment):
    config = str(experiment / "config_remote.yml")
    # As it is, without GPUs; and so that each trial has one, or all of its host.
    for number, words in enumerate(((), ("-g", "1"), ("-g", "2", "--trials", "4"))):
        ended = checked(run_genvx("sweep", "--config", config, "--json", *words))
        assert ended["sweep"]["counts"] == {"completed": 4 if number == 2 else 20}
        assert len({each["host"] for each in ended["trials"]}) == 2
        for each in ended["trials"]:
            wanted = each["parameters"]["lr"] * each["parameters"]["hidden_size"]
            assert each["value"] == pytest.approx(wanted + 100 * number)
    before = run_genvx("sweeps", "list", "--json").stdout
    refused = run_genvx("sweep", "--config", config, "-g", "3")
    assert (refused.returncode, refused.stdout) == (2, "")
    (line,) = refused.stderr.splitlines()
    assert line.startswith("genvx: 3 GPUs wanted on one host, but none has more than 2 (127.0.0.1")
    assert run_genvx("sweeps", "list", "--json").stdout == before
