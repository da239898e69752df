"""genvx jupyter: real kernels, started by jupyter_client, hold GPUs while they live."""

from __future__ import annotations

import json
import os

import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

from genvx.local.host import LocalHost
from tests.conftest import run_genvx
from tests.helpers import ROOT, until


@pytest.fixture
def home(state, tmp_path, monkeypatch):
    monkeypatch.setenv("GENVX_SIMULATE", "4xA100-80GB")
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path


@pytest.fixture
def kernel(home):
    """Starts a kernel that genvx has installed; gives its manager and what runs code in it."""
    managers = []

    def start(*options):
        answer = run_genvx("jupyter", "install", "--name", "test", *options)
        assert (answer.returncode, answer.stderr) == (0, "")
        specs = KernelSpecManager(kernel_dirs=[str(home / "jupyter" / "kernels")])
        manager = KernelManager(kernel_name="test", kernel_spec_manager=specs)
        manager.start_kernel()
        client = manager.client()
        client.start_channels()
        managers.append((manager, client))
        client.wait_for_ready(timeout=60)
        return manager, client

    yield start
    for manager, client in managers:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def printed(client, code):
    said = []

    def hook(message):
        if message["msg_type"] == "stream":
            said.append(message["content"]["text"])

    reply = client.execute_interactive(code, timeout=60, output_hook=hook)
    return reply["content"]["status"], "".join(said)


def replied(client, request):
    """The kernel's reply to that very request.

    wait_for_ready asks a slow kernel once a second what it is; the replies after the first stand
    in the way of the one that is wanted.
    """
    while True:
        reply = client.get_shell_msg(timeout=60)
        if reply["parent_header"].get("msg_id") == request:
            return reply


def environments():
    return LocalHost().snapshot().environments


def test_a_kernel_sees_its_gpus_and_frees_them_when_it_is_shut_down(kernel):
    manager, client = kernel("--gpus", "2")
    (env,) = environments()
    assert (env.name, len(env.devices)) == ("jupyter test", 2)
    code = "import os, genvx; print(os.environ['GENVX_DEVICES'], len(genvx.current().devices))"
    assert printed(client, code) == ("ok", "0,1 2\n")
    manager.shutdown_kernel()
    until(lambda: not environments())


def test_a_kernel_that_is_killed_frees_its_gpus(kernel):
    manager, _ = kernel()
    assert len(environments()) == 1
    manager.shutdown_kernel(now=True)
    until(lambda: not environments())


def test_an_interrupt_stops_the_cell_and_not_the_kernel(kernel):
    manager, client = kernel()
    # With stop_on_error, the default, a kernel aborts what it is asked right after an error.
    cell = client.execute("import time\nprint('on')\ntime.sleep(600)", stop_on_error=False)
    while client.get_iopub_msg(timeout=60)["msg_type"] != "stream":
        pass
    manager.interrupt_kernel()
    assert replied(client, cell)["content"]["ename"] == "KeyboardInterrupt"
    assert printed(client, "print(1)") == ("ok", "1\n")


def test_a_restarted_kernel_has_gpus_again(kernel):
    manager, client = kernel()
    manager.restart_kernel(now=True)
    client.wait_for_ready(timeout=60)
    code = "import os; print(len(os.environ['CUDA_VISIBLE_DEVICES']) > 0)"
    assert printed(client, code) == ("ok", "True\n")
    until(lambda: len(environments()) == 1)


def test_what_is_asked_for_is_in_the_specification(home):
    options = ("--gpus", "A100:1", "--gpu-memory", "40G", "--time", "8h", "--wait")
    assert run_genvx("jupyter", "install", *options).returncode == 0
    path = home / "jupyter" / "kernels" / "genvx" / "kernel.json"
    argv = json.loads(path.read_text())["argv"]
    at = argv.index("run")
    assert argv[at + 1 : argv.index("--")] == [
        "--gpus=A100:1",
        "--gpu-memory=40G",
        "--time=8h",
        "--wait",
        "--name=jupyter genvx",
    ]
    assert run_genvx("jupyter", "uninstall").returncode == 0
    assert not path.parent.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("install", "--name", "../x"), "not the name of a kernel"),
        (("install", "--gpus", "-1"), "--gpus"),
        (("install", "--time", "soon"), "soon"),
        (("install", "--python", "/nowhere"), "no Python at '/nowhere'"),
        (("install", "--python", "/bin/false"), "has no ipykernel"),
        (("uninstall", "--name", "x"), "is not a kernel that genvx installed"),
    ],
)
def test_bad_input_is_refused_and_nothing_is_written(home, arguments, said):
    answer = run_genvx("jupyter", *arguments)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert said in answer.stderr
    assert not (home / "jupyter").exists()


def test_others_kernels_are_left_alone(home):
    path = home / "jupyter" / "kernels" / "x"
    path.mkdir(parents=True)
    (path / "kernel.json").write_text('{"argv": ["python"]}')
    assert run_genvx("jupyter", "uninstall", "--name", "x").returncode == 2
    assert os.listdir(path) == ["kernel.json"]
