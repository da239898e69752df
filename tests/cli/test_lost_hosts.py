"""Hosts that go away without a word, and clients that do."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.helpers import PATIENCE, Terminal, end, genvx_argv, genvx_env, snapshot_of, until
from torture.wires import cable

pytestmark = pytest.mark.needs("openssh", "cables")

AFTER = ("--host-lost-after", "2")


@pytest.fixture
def far(sandbox):
    """The sandbox's hosts behind a cable; gives the cable."""
    with cable() as made:
        made.move(sandbox)
        yield made


@pytest.fixture
def start():
    """Starts `genvx remote` at the near end of a cable; it ends with the test."""
    started = []

    def start(far, *arguments):
        process = subprocess.Popen(
            far.command(genvx_argv("remote", *AFTER, *arguments)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=genvx_env(),
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.returncode is None:
            end(process)


def environments(host):
    """What is held on a host of the sandbox, as the host itself knows it."""
    return snapshot_of(host).environments


def test_a_command_without_output_whose_host_is_lost(far, start):
    process = start(far, "-q", "run", "-g", "2", "--", "sh", "-c", "echo runs; sleep 600")
    assert process.stdout.readline() == "runs\n"
    far.cut()
    out, err = process.communicate(timeout=PATIENCE)
    assert (out, process.returncode) == ("", 4)
    assert len(err.splitlines()) == 1
    assert err.startswith("genvx: gpu-server-2 is lost: no sign of life for 2 s")


def test_a_command_with_output_and_input_whose_host_is_lost(far, start):
    """Data is on its way both ways, so that everything that can be full is."""
    command = ("sh", "-c", "echo runs; cat >/dev/null & yes")
    process = start(far, "-q", "run", "-g", "2", "--", *command)
    assert process.stdout.readline() == "runs\n"
    far.cut()
    _, err = process.communicate("x" * 10_000_000, timeout=PATIENCE)
    assert err.startswith("genvx: gpu-server-2 is lost")
    assert process.returncode == 4


def test_a_host_behind_a_jump_host_that_still_answers(sandbox, start):
    with cable() as far:
        far.move(sandbox, near=["gpu-server-1"])
        config = Path(sandbox.ssh_config)
        host = "Host gpu-server-2"
        config.write_text(config.read_text().replace(host, f"{host}\n    ProxyJump gpu-server-1"))
        process = start(far, "-q", "run", "-g", "2", "--", "sh", "-c", "echo runs; sleep 600")
        assert process.stdout.readline() == "runs\n"
        far.cut()
        _, err = process.communicate(timeout=PATIENCE)
    assert err.startswith("genvx: gpu-server-2 is lost")
    assert process.returncode == 4


def test_a_host_that_is_only_slow_is_not_lost(far, start):
    """Nothing is sent for much longer than a host may be silent."""
    process = start(far, "-q", "run", "-g", "2", "--", "sleep", "4")
    assert process.communicate(timeout=PATIENCE) == ("", "")
    assert process.returncode == 0


def test_a_client_that_was_stopped_for_long_does_not_take_its_host_for_lost(far, start):
    import signal

    process = start(far, "-q", "run", "-g", "2", "--", "sh", "-c", "echo runs; read x; echo $x")
    assert process.stdout.readline() == "runs\n"
    process.send_signal(signal.SIGSTOP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(3.0)
    process.send_signal(signal.SIGCONT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1.0)
    assert process.communicate("on\n", timeout=PATIENCE) == ("on\n", "")


@pytest.mark.parametrize("terminal", ["openssh", "builtin"])
def test_a_shell_whose_host_is_lost(far, terminal):
    argv = genvx_argv("remote", *AFTER, "activate", "--gpus", "2")
    shell = Terminal(far.command(argv), genvx_env(GENVX_TERMINAL=terminal))
    shell.expect("gpu-server-2 $ ")
    far.cut()
    shell.expect("genvx: gpu-server-2 is lost: no sign of life for 2 s")
    assert shell.end() == 4


def test_a_gang_of_which_a_host_is_lost(far, start):
    command = ("sh", "-c", "echo runs; sleep 600")
    process = start(far, "-q", "run", "-N", "2", "-g", "1", "--", *command)
    assert process.stdout.readline().endswith("| runs\n")
    assert process.stdout.readline().endswith("| runs\n")
    far.cut()
    _, err = process.communicate(timeout=40)
    assert process.returncode == 4
    assert "is lost: no sign of life for 2 s" in err


def test_who_waits_for_a_host_that_is_lost_is_told_and_waits_there_no_more(far, start, sandbox):
    holder = start(far, "-q", "--host", "gpu-server-2", "run", "-g", "2", "--", "sleep", "600")
    host = sandbox.hosts[1]
    until(lambda: environments(host), "the devices are taken")
    waiter = start(far, "run", "-g", "2", "--wait", "--", "true")
    # The ticket alone is not enough: a host that was lost before it answered was never there.
    assert waiter.stderr.readline().startswith("genvx: waiting for 2 GPUs: 1st in line on gpu-ser")
    assert tickets(host)
    far.cut()
    _, err = waiter.communicate(timeout=PATIENCE)
    assert "gpu-server-2 is lost" in err
    holder.communicate(timeout=PATIENCE)
    until(lambda: not tickets(host), "the ticket has ended, too")


def tickets(host):
    return list(Path(host.state).rglob("*.ticket"))


def test_what_a_lost_client_held_without_a_command_is_free_again(far, sandbox):
    code = (
        "import sys, time; from genvx.fleet.hosts.hostfile import load; "
        "from genvx.fleet.fleet import connect_fleet; "
        f"fleet = connect_fleet(load({sandbox.hostfile!r}), host_lost_after=2.0); "
        "hold = fleet.activate(gpus=2); print('held', flush=True); time.sleep(600)"
    )
    client = subprocess.Popen(
        far.command([*genvx_argv()[:1], "-c", code]),
        stdout=subprocess.PIPE,
        text=True,
        env=genvx_env(),
    )
    assert client.stdout.readline() == "held\n"
    host = sandbox.hosts[1]
    assert environments(host)
    far.cut()
    until(lambda: not environments(host), "its devices are free")
    client.kill()
    client.communicate()


@pytest.mark.parametrize("text", ["0.5", "soon"])
def test_a_time_that_is_none_is_refused(cli, text):
    answer = cli("remote", "-H", "nowhere.invalid", f"--host-lost-after={text}", "devices")
    assert answer.returncode == 2
    assert len(answer.stderr.splitlines()) == 1
