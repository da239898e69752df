"""--visible-as: how what runs under a lease is told of its devices, wherever it runs."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

import genvx
from genvx.errors import InvalidInput
from tests.conftest import run_genvx
from tests.helpers import ROOT

PRINT = ("--", "printenv", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")
INDEX = ("--visible-as", "index")


@pytest.fixture(autouse=True)
def _four(state, monkeypatch):
    monkeypatch.setenv("GENVX_SIMULATE", "4xA100-80GB")


def told(*arguments, **options):
    answer = run_genvx(*arguments, **options)
    assert (answer.returncode, answer.stderr) == (0, "")
    return answer.stdout


def test_devices_are_told_by_uuid_unless_somebody_says_otherwise():
    devices, order = told("run", "-g", "2", *PRINT).split()
    assert [uuid[:4] for uuid in devices.split(",")] == ["SIM-", "SIM-"]
    assert order == "PCI_BUS_ID"


def test_indices_are_those_of_the_pci_order():
    assert told("run", "--device", "3,1", *INDEX, *PRINT) == "1,3\nPCI_BUS_ID\n"
    assert told("run", "-g", "0", *INDEX, *PRINT) == "\nPCI_BUS_ID\n"


def test_a_word_that_is_neither_is_refused():
    answer = run_genvx("run", "-g", "1", "--visible-as", "number", "--", "true")
    assert (answer.returncode, answer.stderr) == (
        2, "genvx: --visible-as is uuid or index, not 'number'\n",
    )  # fmt: skip


def test_a_mig_instance_has_no_index_and_what_comes_behind_one_no_sure_one(monkeypatch):
    monkeypatch.setenv("GENVX_SIMULATE", "1xA100-80GB,1xA100 1g.10gb-10GB,1xA100-80GB")
    assert told("run", "-g", "1", *INDEX, *PRINT).startswith("0\n")
    for label, code, reason in (
        ("1:0", 2, "a MIG instance"),
        ("2", 3, "has no sure index"),
    ):
        answer = run_genvx("run", "--device", label, *INDEX, "--", "true")
        line = answer.stderr.splitlines()[0]
        assert answer.returncode == code
        assert f"GPU {label}: {reason}" in line
        assert "only --visible-as uuid can name it" in line
        assert told("run", "--device", label, *PRINT).startswith("SIM-")


def test_the_file_of_a_directory_can_say_it(tmp_path):
    (tmp_path / ".genvx.toml").write_text('gpus = 2\nvisible-as = "index"\n')
    assert told("activate", *PRINT).startswith("0,1\n")
    assert told("activate", "--visible-as", "uuid", *PRINT).startswith("SIM-")
    (tmp_path / ".genvx.toml").write_text('visible-as = "number"\n')
    answer = run_genvx("activate", "--", "true")
    assert "visible-as: is uuid or index, not 'number'" in answer.stderr


def test_the_policy_can_say_it_and_is_shown(state):
    told("devices")
    (state / "policy.toml").write_text('[devices]\nvisible_as = "index"\n')
    assert told("run", "-g", "1", *PRINT).startswith("0\n")
    assert told("run", "-g", "1", "--wait", *PRINT).startswith("0\n")
    assert told("run", "-g", "1", "--visible-as", "uuid", *PRINT).startswith("SIM-")
    assert "CUDA_VISIBLE_DEVICES has indices" in told("policy")
    (state / "policy.toml").write_text('[devices]\nvisible_as = "number"\n')
    assert "line 2: devices.visible_as: is uuid or index" in run_genvx("run", *PRINT).stderr


def test_whoever_joins_sees_what_the_others_see():
    told("acquire", "-g", "2", "--for", "1h", "--name", "kept", *INDEX)
    assert told("run", "--id", "kept", *PRINT).startswith("0,1\n")
    told("attach", "--id", "kept", "-g", "1")
    assert told("run", "--id", "kept", *PRINT).startswith("0,1,2\n")
    answer = run_genvx("run", "--id", "kept", *INDEX, "--", "true")
    assert "--id joins an environment as it is" in answer.stderr


def test_a_program_sees_indices_before_and_after_it_takes_more():
    with genvx.activate(1, visible_as="index") as env:
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"
        env.attach(devices=["1", "2"])
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,1,2"
        env.detach(["0"])
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "1,2"
    with pytest.raises(InvalidInput, match="visible_as is uuid or index, not 'number'"):
        genvx.activate(1, visible_as="number")


def test_a_kernel_of_jupyter_is_started_with_it(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    told("jupyter", "install", *INDEX)
    argv = json.loads((tmp_path / "kernels" / "genvx" / "kernel.json").read_text())["argv"]
    assert "--visible-as=index" in argv


@pytest.mark.needs("openssh")
def test_a_hostfile_can_say_it_for_a_host(make_sandbox, monkeypatch):
    sandbox = make_sandbox("2")
    plain, run = Path(sandbox.hostfile).read_text(), ("remote", "-q", "run", "-g", "2")
    assert told(*run, *INDEX, *PRINT).startswith("0,1\n")
    hostfile = Path(sandbox.hostfile).with_name("hosts")
    lines = (line for line in plain.splitlines() if line and not line.startswith("#"))
    hostfile.write_text("".join(f"{line} visible_as=index\n" for line in lines))
    monkeypatch.setenv("GENVX_HOSTFILE", str(hostfile))
    assert told(*run, *PRINT).startswith("0,1\n")
    assert told(*run, "--visible-as", "uuid", *PRINT).startswith("SIM-")
    with genvx.Fleet.from_hostfile(str(hostfile)) as fleet, fleet.activate(1) as hold:
        seen = hold.run(["printenv", "CUDA_VISIBLE_DEVICES"], capture_output=True).stdout
        assert seen == b"0\n"


@pytest.mark.needs("openssh")
def test_ssh_into_an_environment_sees_it_too(sandbox, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    told("remote", "-q", "acquire", "-g", "2", "--for", "1h", "--name", "kept", *INDEX)
    (tmp_path / "config").write_text(told("remote", "ssh-config", "kept"))
    command = ["ssh", "-F", str(tmp_path / "config"), "genvx-kept", "printenv CUDA_VISIBLE_DEVICES"]
    answer = subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60
    )
    assert (answer.returncode, answer.stdout) == (0, "0,1\n"), answer.stderr
