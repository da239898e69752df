"""Launchers, each tried in sh with a stand-in for its package that says how it was started."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys

import pytest

from genvx.core.launchers import LAUNCHERS, for_people, launched
from genvx.errors import InvalidInput

MODULES = {
    "torchrun": "torch/distributed/run.py",
    "accelerate": "accelerate/commands/launch.py",
    "deepspeed": "deepspeed/launcher/launch.py",
}
SAYS = "import sys\nif __name__ == '__main__': print(*sys.argv[1:], sep='\\n')\n"
PYTHONIC = tuple(MODULES)
NODE_1 = {"NNODES": "2", "NODE_RANK": "1", "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "5000"}


@pytest.fixture
def start(tmp_path):
    """Starts a script with a launcher; gives the words with which the launcher was started."""
    for module in MODULES.values():
        file = tmp_path / "packages" / module
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(SAYS)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    mpirun = tmp_path / "bin" / "mpirun"
    mpirun.write_text(
        '#!/bin/sh\nif [ "$1" = --version ]; then echo "$MPI"; else printf "%s\\n" "$@"; fi\n'
    )
    mpirun.chmod(0o755)

    def start(name, *words, **variables):
        answer = subprocess.run(
            launched(name, words),
            env={
                "PATH": f"{tmp_path}/bin:{os.defpath}",
                "PYTHONPATH": f"{tmp_path}/packages",
                **variables,
            },
            capture_output=True,
            text=True,
            check=True,
        )
        return answer.stdout.splitlines()

    return start


def test_torchrun_gets_a_process_for_each_gpu_of_a_host(start):
    assert start("torchrun", "train.py", "--lr", "1", CUDA_VISIBLE_DEVICES="GPU-a,GPU-b") == [
        "--standalone", "--nproc-per-node=2", "train.py", "--lr", "1",
    ]  # fmt: skip


def test_torchrun_finds_the_other_hosts(start):
    assert start("torchrun", "train.py", CUDA_VISIBLE_DEVICES="GPU-a", **NODE_1) == [
        "--nnodes=2", "--node-rank=1", "--nproc-per-node=1", "--master-addr=10.0.0.1",
        "--master-port=5000", "train.py",
    ]  # fmt: skip


def test_accelerate_finds_gpus_and_hosts(start):
    assert start("accelerate", "train.py", CUDA_VISIBLE_DEVICES="GPU-a,GPU-b", **NODE_1) == [
        "--main_process_ip=10.0.0.1", "--main_process_port=5000", "--multi_gpu",
        "--num_machines=2", "--machine_rank=1", "--num_processes=4", "train.py",
    ]  # fmt: skip


def test_accelerate_uses_the_processor_where_no_gpu_is_held(start):
    assert start("accelerate", "train.py", CUDA_VISIBLE_DEVICES="") == [
        "--main_process_port=0", "--cpu",
        "--num_machines=1", "--machine_rank=0", "--num_processes=1", "train.py",
    ]  # fmt: skip


def test_deepspeed_gets_the_gpus_of_its_own_host_by_their_names(start):
    world, *others = start("deepspeed", "x.py", CUDA_VISIBLE_DEVICES="GPU-a,GPU-b", **NODE_1)
    assert json.loads(base64.urlsafe_b64decode(world.partition("=")[2])) == {
        "node0": [0, 1],
        "node1": ["GPU-a", "GPU-b"],
    }
    assert others == ["--node_rank=1", "--master_addr=10.0.0.1", "--master_port=5000", "x.py"]


def test_deepspeed_on_one_host_takes_a_port_that_is_free(start):
    _, rank, address, port, _ = start("deepspeed", "x.py", CUDA_VISIBLE_DEVICES="GPU-a")
    assert (rank, address) == ("--node_rank=0", "--master_addr=127.0.0.1")
    assert 1024 <= int(port.partition("=")[2]) <= 65535


@pytest.mark.parametrize("name", LAUNCHERS)
def test_what_a_user_wrote_is_not_read_by_a_shell(start, name):
    words = ["a b.py", "$(touch x); `y`", "'\"", "", "*"]
    assert start(name, *words, CUDA_VISIBLE_DEVICES="GPU-a")[-5:] == words


@pytest.mark.parametrize("name", PYTHONIC)
def test_a_package_that_is_missing_is_named(tmp_path, name):
    answer = subprocess.run(
        launched(name, ("train.py",)),
        env={"PATH": os.defpath, "PYTHONPATH": str(tmp_path), "PYTHONNOUSERSITE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    package = {"torchrun": "torch"}.get(name, name)
    assert (answer.returncode, answer.stderr) == (
        127,
        f"genvx: --launcher {name} needs the Python package {package} on this host: "
        f"pip install {package}\n",
    )


@pytest.mark.parametrize(
    ("mpi", "option"),
    [("mpirun (Open MPI) 4.1.4", "--host"), ("HYDRA build details:", "-hosts")],
)
def test_mpirun_on_one_host_gets_a_process_for_each_gpu_and_a_program_that_may_be_python(
    start, mpi, option
):
    words = start("mpirun", "python", "x.py", CUDA_VISIBLE_DEVICES="GPU-a,GPU-b", MPI=mpi)
    assert words == [option, "localhost:2", "python", "x.py"]


def test_a_host_without_mpirun_says_what_to_install(tmp_path):
    answer = subprocess.run(
        ["/bin/sh", *launched("mpirun", ("train",))[1:]],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (answer.returncode, answer.stderr) == (
        127,
        "genvx: --launcher mpirun needs mpirun on this host: Open MPI, MPICH or Intel MPI\n",
    )


@pytest.mark.parametrize(
    ("name", "first", "says"),
    [
        ("mpi", "train.py", "--launcher is torchrun, accelerate, deepspeed or mpirun, not 'mpi'"),
        ("mpirun", "/usr/bin/mpiexec", "--launcher mpirun starts mpiexec itself"),
        ("torchrun", "/usr/bin/python3.11", "write it after -- without python3.11"),
        ("torchrun", "torchrun", "write it after -- without torchrun"),
    ],
)
def test_a_launcher_is_one_that_there_is_and_starts_the_script_itself(name, first, says):
    with pytest.raises(InvalidInput, match=says):
        launched(name, (first, "train.py"))


def test_people_see_the_name_of_the_launcher():
    assert for_people(launched("torchrun", ("train.py", "1"))) == ("torchrun", "train.py", "1")


def test_a_command_without_a_launcher_is_shown_as_it_is():
    assert for_people(("sh", "-c", "x", "torchrun")) == ("sh", "-c", "x", "torchrun")
