"""What starts commands on a node: its processes are real, and there is no Slurm around them."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from genvx.fleet.allocating import onnode as program
from genvx.fleet.hosts.step import ON_NODE, Step, coded, onnode
from tests.helpers import until


class Node:
    """A node with a job of its own."""

    def __init__(self) -> None:
        self.job = secrets.token_hex(5)
        self.environ = {
            "PATH": f"{os.path.dirname(sys.executable)}:/usr/bin:/bin",
            "SLURMD_NODENAME": "n" * 200,
        }
        self._processes: list[subprocess.Popen[bytes]] = []

    def hold(self) -> None:
        self._start("-", "-", onnode(), "hold", self.job)
        until(self.listens, "it listens")

    def listens(self) -> bool:
        return self.job in Path("/proc/net/unix").read_text()

    def relay(self, line: str, *, left: str = "-") -> subprocess.Popen[bytes]:
        return self._start(coded(line), left, onnode(), "relay", self.job, coded(line))

    def said(self, line: str, *, left: str = "-") -> tuple[int, bytes]:
        relay = self.relay(line, left=left)
        out, _ = relay.communicate(timeout=60)
        return relay.returncode, out

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            ["/bin/sh", "-c", ON_NODE, "genvx-step", *words],
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._processes.append(process)
        return process

    def end(self) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()


@pytest.fixture
def node() -> Iterator[Node]:
    made = Node()
    yield made
    made.end()


def test_a_command_that_is_there_before_the_job_listens_waits_for_it(node):
    early = node.relay("echo on; exit 7")
    with pytest.raises(subprocess.TimeoutExpired):
        early.wait(0.3)
    node.hold()
    assert early.communicate(timeout=60)[0] == b"on\n"
    assert early.returncode == 7


def test_without_the_process_that_lasts_a_command_fails_with_a_line():
    words = "from genvx.fleet.allocating.onnode import reach; reach('0', 0.0)"
    said = subprocess.run([sys.executable, "-c", words], capture_output=True, timeout=60)
    assert said.returncode == 255
    assert said.stderr == b"genvx: what starts commands in job 0 is gone\n"


@pytest.mark.needs("root")
def test_a_socket_of_another_user_with_our_name_is_given_no_command(node, monkeypatch):
    monkeypatch.setenv("SLURMD_NODENAME", node.environ["SLURMD_NODENAME"])
    taken = f"\0{program.prefix(node.job)}{'0' * 16}"
    squatter = subprocess.Popen(
        [
            *(sys.executable, "-c"),
            "import os, socket, sys\n"
            "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
            "one = socket.socket(socket.AF_UNIX)\n"
            "one.bind('\\0' + sys.argv[1])\n"
            "one.listen(8)\n"
            "print(flush=True)\n"
            "while True:\n"
            "    print(one.accept()[0].recv(99), flush=True)\n",
            taken[1:],
        ],
        stdout=subprocess.PIPE,
    )
    assert squatter.stdout is not None
    try:
        assert squatter.stdout.readline() == b"\n"
        node.hold()
        assert node.said("echo mine") == (0, b"mine\n")
    finally:
        squatter.kill()
    # It was connected to, and was sent nothing.
    assert set(squatter.communicate()[0].split()) <= {b"b''"}


def test_a_command_is_not_deaf_to_signals(node):
    node.hold()
    assert node.said("kill -PIPE $$; echo deaf") == (128 + signal.SIGPIPE, b"")


def test_a_command_knows_when_its_job_ends(node):
    node.hold()
    _, said = node.said("echo $GENVX_JOB_ENDS", left="3600")
    assert 0 < int(said) - time.time() <= 3600  # noqa: TID251  # a wall clock's
    assert node.said("echo $GENVX_JOB_ENDS") == (0, b"\n")


def test_two_nodes_of_one_machine_do_not_take_each_others_commands(node):
    other = Node()
    other.job = node.job
    other.environ["SLURMD_NODENAME"] = "other"
    try:
        node.hold()
        early = other.relay("echo $SLURMD_NODENAME")
        with pytest.raises(subprocess.TimeoutExpired):
            early.wait(0.3)
    finally:
        other.end()


_SRUN = """\
#!/bin/sh
echo "srun: error: n1: task 0: Exited with exit code 3" >&2
exit 3
"""


@pytest.mark.parametrize(
    ("squeue", "told"),
    [
        ("echo 'RUNNING (None)'", ""),
        ("echo 'SUSPENDED (None)'", ""),
        ("echo 'squeue: warning: slow' >&2; echo 'RUNNING (None)'", ""),
        ("echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1", ""),
        ("echo 'TIMEOUT (TimeLimit)'", "TIMEOUT (TimeLimit)"),
        ("echo 'PREEMPTED (None)'", "PREEMPTED"),
        ("echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1", "unknown"),
        ("", "unknown"),
    ],
)
def test_a_job_has_ended_only_if_slurm_says_so(tmp_path, squeue, told):
    for name, text in (("srun", _SRUN), ("squeue", f"#!/bin/sh\n{squeue}\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    said = subprocess.run(
        ["/bin/sh", "-c", Step(7, "n1").line("exit 3")],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    ended = f"genvx: job 7 of Slurm, which had n1, has ended: {told}\n"
    assert (said.returncode, said.stderr) == (3, ended if told else "")
