"""Commands of `genvx remote run` that a carrier carries: like those with a connection of their
own, and faster.
"""

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import run_genvx
from tests.helpers import (
    PATIENCE,
    Terminal,
    alive,
    end,
    genvx_argv,
    genvx_env,
    held_on_hosts,
    parent_of,
    processes_with,
    start_genvx,
    until,
)
from tests.keeping.keepers import agents, cold, kept, loaded_by, pids, sessions, start, told

COLD = {"GENVX_KEEP": "0"}


@pytest.fixture
def carried(make_sandbox, keeps):
    """Two hosts and a keeper, which has a carrier for the first."""
    sandbox = make_sandbox("2", "2")
    start()
    assert carries(), "no carrier"
    return sandbox


def carries() -> bool:
    """Whether a command is carried now: without these it has no connection of its own."""
    return not loaded_by(("paramiko", "fabric", "typer"), *words("true"))


def words(*command: str) -> list[str]:
    return ["remote", "run", "-q", "-g", "1", "--", *command]


def carriers(keeps: Path) -> list[int]:
    """The carriers, which are children of the keeper's child."""
    (keeper,) = pids()
    return [
        pid
        for pid in processes_with(f"genvx.keeping\0{keeps}\0")
        if pid != keeper and parent_of(pid) != keeper
    ]


def both(*command: str, **options) -> None:
    """Run a command with a carrier and without; nothing may differ."""
    assert told(run_genvx(*words(*command), **options)) == cold(*words(*command), **options)


def test_it_is_like_one_with_a_connection_of_its_own(carried, keeps, tmp_path):
    assert carries()
    both("sh", "-c", "echo out; echo err >&2; pwd; umask; exit 7")
    both("cat", input="typed\n" * 20_000, stdin=None)
    both("sh", "-c", "env | grep -v -e ^GENVX_ENVIRONMENT -e ^SSH_ -e ^CUDA_ -e ^_= | sort")
    both("sh", "-c", "kill -9 $$")
    both("sh", "-c", "sleep 1000 & disown 2>/dev/null; kill $!; ps -o comm= -p $PPID")
    both("no-such-command")
    assert run_genvx("remote", "run", "-q", "-g", "3", "--", "true").returncode == 2
    # Whatever is asked for otherwise, too.
    acquired = run_genvx("remote", "acquire", "--gpus=2", "--for=9m", "--name=mine")
    assert acquired.returncode == 0
    joined = run_genvx(
        "remote", "run", "-q", "--id=mine", "--", "sh", "-c", "echo $CUDA_VISIBLE_DEVICES"
    )
    assert len(joined.stdout.split(",")) == 2, joined
    assert carries()
    until(lambda: held_on_hosts() == ["mine"], "no lease is left")


def test_output_waits_for_a_slow_reader_and_comes_whole(carried):
    size = 24_000_000
    script = f"head -c {size} /dev/zero | tr '\\0' x; echo end >&2"
    with start_genvx(*words("sh", "-c", script)) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        digest, seen = hashlib.sha256(), 0
        # Nobody reads yet: the command stops at what fits on the way, and its lease lives.
        until(held_on_hosts, "it runs")
        while data := os.read(process.stdout.fileno(), 65536):
            digest.update(data)
            seen += len(data)
        assert process.wait(PATIENCE) == 0
        assert process.stderr.read() == "end\n"
    assert (seen, digest.hexdigest()) == (size, hashlib.sha256(b"x" * size).hexdigest())
    # A reader that is gone ends it, as without a carrier.
    for env in ({}, COLD):
        line = f"{sys.executable} -m genvx {' '.join(words('yes'))} | head -n 1"
        answer = subprocess.run(
            ["bash", "-c", f"{line}; echo ${{PIPESTATUS[0]}}"],
            capture_output=True,
            text=True,
            timeout=60,
            env=genvx_env(**env),
        )
        assert answer.stdout == "y\n0\n", answer
    until(lambda: not held_on_hosts(), "no lease is left")


def test_signals_and_ctrl_c_reach_the_command(carried, tmp_path):
    trap = "trap 'echo told; exit 5' TERM INT; echo ready; while :; do sleep 0.05; done"
    for number in (signal.SIGTERM, signal.SIGINT):
        with start_genvx(*words("sh", "-c", trap)) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            process.send_signal(number)
            assert process.wait(PATIENCE) == 5
            assert process.stdout.read() == "told\n"
    # Twice ends the connection, and the host the command.
    deaf = "trap '' INT; echo ready; exec sleep 600"
    terminal = Terminal(genvx_argv(*words("sh", "-c", deaf)), genvx_env())
    terminal.expect("ready")
    terminal.key("\x03")
    terminal.key("\x03")
    assert terminal.end() == 130
    until(lambda: not held_on_hosts(), "the host ends the command")


def test_a_killed_client_frees_its_gpus_and_the_carrier_goes_on(carried, keeps):
    (carrier,) = carriers(keeps)
    process = start_genvx(*words("sleep", "600"))
    until(held_on_hosts, "it runs")
    end(process)
    until(lambda: not held_on_hosts(), "its GPU is free")
    assert carries()
    assert carriers(keeps) == [carrier]


def test_a_run_outlives_the_keeper_whatever_ends_that(carried, keeps):
    with start_genvx(
        *words("sh", "-c", "echo ready; read line; echo $line"), stdin=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "ready\n"
        (keeper,), (carrier,) = pids(), carriers(keeps)
        os.kill(keeper, signal.SIGKILL)
        until(lambda: not alive(keeper), "the keeper is gone")
        # Another keeper comes, with carriers of its own.
        start()
        assert carries()
        assert run_genvx("keep", "stop").returncode == 0
        process.stdin.write("all of it\n")
        process.stdin.close()
        assert process.stdout.read() == "all of it\n"
        assert process.wait(PATIENCE) == 0
    until(lambda: not alive(carrier), "a carrier without a keeper ends with its run")
    until(lambda: not processes_with(f"genvx.keeping\0{keeps}\0"), "nothing is left")
    until(lambda: not agents(carried), "no agent is left")
    assert run_genvx(*words("true")).returncode == 0


def test_a_killed_carrier_is_a_lost_connection(carried, keeps):
    (carrier,) = carriers(keeps)
    with start_genvx(*words("sh", "-c", "echo ready; sleep 600")) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "ready\n"
        os.kill(carrier, signal.SIGKILL)
        assert process.wait(PATIENCE) == 4
        assert process.stderr.read() == (
            "genvx: the connection ended before the command did, which gpu-server-1 ends now\n"
        )
    until(lambda: not held_on_hosts(), "its GPU is free")
    assert carries()


def test_two_at_once_have_a_carrier_each(carried, keeps):
    script = "echo ready; read line"
    with contextlib.ExitStack() as stack:
        both = [
            stack.enter_context(start_genvx(*words("sh", "-c", script), stdin=subprocess.PIPE))
            for _ in range(2)
        ]
        for process in both:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        assert len(carriers(keeps)) == 2
        for process in both:
            process.communicate("\n", timeout=PATIENCE)
            assert process.returncode == 0


def test_what_ssh_would_refuse_now_is_refused_and_what_is_new_there_counts(carried, keeps):
    # Agents that somebody has killed. One that stays leaves its home.
    until(lambda: [os.readlink(f"/proc/{pid}/cwd") for pid in agents(carried)] == ["/"] * 3)
    for pid in agents(carried):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert carries()
    # Connections that are silent.
    stopped = sessions(carried)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    assert run_genvx(*words("true")).returncode == 0
    for pid in stopped:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert carries()
    # A key that is not known any more.
    known = Path(carried.directory, "known_hosts")
    before = known.read_text()
    known.write_text("")
    answer = run_genvx(*words("true"))
    assert answer.returncode == 4
    assert "host-key" in answer.stderr or "is not known" in answer.stderr, answer
    known.write_text(before)


def test_one_of_another_version_carries_nothing(carried, monkeypatch):
    assert carries()
    # Another variable stands for all that makes a keeper that of other commands.
    monkeypatch.setenv("LANG", "C")
    assert not carries()
    assert kept()
