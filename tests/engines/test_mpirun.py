"""mpirun over the hosts of a gang: what its processes see, who is obeyed, and what is left."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from genvx.engines.onhost import mpi
from genvx.engines.onhost.life import Failure
from genvx.engines.onhost.link import Link
from tests.conftest import run_genvx
from tests.engines.seen import processes_with
from tests.helpers import end, held_on_hosts, start_genvx, until

SEEN = 'echo "seen $NODE_RANK $CUDA_VISIBLE_DEVICES ${GENVX_CLUSTER_SECRET-}"'


@pytest.fixture
def two(make_sandbox):
    return make_sandbox("2", "2")


def processes(two):
    """All processes of the hosts but their servers."""
    homes = [f"{two.directory}/{host.name}/home" for host in two.hosts]
    return [pid for home in homes for pid in processes_with("HOME", home)]


def nothing_is_left(two):
    until(lambda: not held_on_hosts(), "the leases end", patience=40)
    until(lambda: not processes(two), "all processes end", patience=40)


def by_node(answer):
    """What the processes saw, by node: [rank of the node, its GPUs] of each."""
    lines = [line.split(" | ", 1)[1] for line in answer.stdout.splitlines() if " | " in line]
    return sorted(line.split()[1:] for line in lines if line.startswith("seen"))


def require_a_process_for_each_gpu(seen):
    assert [words[0] for words in seen] == ["0", "0", "1", "1"], seen
    (first, second) = ({words[1] for words in seen if words[0] == rank} for rank in "01")
    assert len(first) == len(second) == 1
    assert first != second, "each host has GPUs of its own"
    assert all(len(words) == 2 for words in seen), "the secret is in no environment"


@pytest.mark.needs("openssh", "openmpi")
def test_mpirun_starts_a_process_for_each_gpu_on_two_hosts_and_its_code_is_ours(two):
    start = ("remote", "run", "-N", "2", "-g", "2", "--launcher", "mpirun", "--")
    answer = run_genvx(*start, "--allow-run-as-root", "sh", "-c", SEEN)
    assert answer.returncode == 0, answer.stderr
    require_a_process_for_each_gpu(by_node(answer))
    # It ends the others at the first code that is not 0.
    assert run_genvx(*start, "--allow-run-as-root", "sh", "-c", "exit 3").returncode == 3
    nothing_is_left(two)
    left = [os.path.realpath(path / "work") for path in Path("/tmp").glob("gv-*-way")]
    assert not [path for path in left if path.startswith(str(two.directory))]


@pytest.mark.needs("openssh", "mpich")
def test_the_mpirun_of_mpich_does_the_same_in_a_run(two, tmp_path):
    (tmp_path / "mpirun").write_text('#!/bin/sh\nexec mpirun.mpich "$@"\n')
    (tmp_path / "mpirun").chmod(0o755)
    answer = run_genvx(
        *("remote", "run", "-d", "-w", "-N", "2", "-g", "2", "--launcher", "mpirun"),
        *("--env", f"PATH={tmp_path}:{os.environ['PATH']}", "--", "sh", "-c", SEEN),
    )
    assert answer.returncode == 0, answer.stderr
    require_a_process_for_each_gpu(by_node(answer))
    nothing_is_left(two)


@pytest.mark.needs("openssh", "openmpi")
@pytest.mark.parametrize("kind", ["ctrl-c", "client", "guard", "head", "mpirun", "orted", "sleep"])
def test_nothing_is_left_of_a_job_of_mpirun_whatever_is_killed(two, kind):
    process = start_genvx(
        *("remote", "run", "-N", "2", "-g", "1", "--launcher", "mpirun"),
        *("--", "--allow-run-as-root", "sh", "-c", "echo up; exec sleep 300"),
    )
    try:
        for _ in range(2):
            assert process.stdout.readline().endswith("| up\n"), process.communicate()[1]
        if kind == "ctrl-c":
            process.send_signal(signal.SIGINT)
        elif kind == "client":
            process.kill()
        else:
            os.kill(_named(two, kind), signal.SIGKILL)
        nothing_is_left(two)
        assert process.wait(30) != 0
    finally:
        end(process)


def _named(two, name):
    ours = []
    for pid in processes(two):
        here = Path(f"/proc/{pid}")
        # Some are of a moment only: those of the start, and those that ask how the hosts are.
        with suppress(OSError):
            first = b"NODE_RANK=0" in (here / "environ").read_bytes().split(b"\0")
            if first and b"onhost.mpi" in (here / "cmdline").read_bytes():
                ours.append((int((here / "stat").read_text().rpartition(")")[2].split()[1]), pid))
            if (here / "comm").read_text().strip().partition(".")[0] == name:
                return pid
    for parent, pid in ours:
        below = parent in [other for _, other in ours]
        if name == ("head" if below else "guard"):
            return pid
    raise AssertionError(f"no {name}")


@pytest.fixture
def member(monkeypatch, tmp_path):
    """A member without mpirun, its link, and node 0's end of that."""
    monkeypatch.setattr(mpi, "Mpirun", lambda: None)
    monkeypatch.setattr(mpi, "Way", lambda run: None)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for each in (ours, theirs):
            each.settimeout(10)
        yield mpi.Member({"secret": "secret", "id": "0"}), Link(ours), Link(theirs)


def test_a_member_runs_what_node_0_asks_for(member):
    mine, link, head = member
    mine._start(link, {"number": 1, "command": "echo out; exit 4"})
    assert head.read()["data"] == "b3V0Cg=="
    assert head.read() == {"number": 1, "code": 4}


@pytest.mark.parametrize(
    "said",
    [
        {"number": True, "command": "touch FILE"},
        {"command": "touch FILE"},
        {"number": 1, "command": ["touch", "FILE"]},
    ],
)
def test_a_member_runs_nothing_that_is_no_command(member, tmp_path, monkeypatch, said):
    mine, link, _ = member
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Failure, match="does not speak the protocol of genvx"):
        mine._start(link, said)
    assert not mine._processes
    assert not (tmp_path / "FILE").exists()


@pytest.fixture
def head(monkeypatch):
    """Node 0 of two without mpirun."""
    for name in ("Mpirun", "Way", "Scratch"):
        monkeypatch.setattr(mpi, name, lambda *_: SimpleNamespace(version="4"))
    monkeypatch.setenv("NNODES", "2")
    return mpi.Head({"secret": "secret", "id": "0"}, [])


def test_node_0_takes_no_notice_of_an_agent_that_was_killed_before_it_had_asked(head):
    ours, theirs = socket.socketpair()
    with ours:
        theirs.sendall(b'{"node": "genvx-')
        theirs.close()
        head._ask(ours)


@pytest.mark.parametrize("slots", [0, -1, 10**9, "2", None, True])
def test_a_member_that_says_it_has_an_odd_number_of_gpus_is_none(head, slots):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        head._meet(Link(ours), {"rank": 1, "slots": slots, "version": "4"})
    assert not head._members


@pytest.mark.parametrize(
    "said", [{"code": "0"}, {"code": None}, {"data": 1}, {"to": 2}, {"number": "1", "code": 0}]
)
def test_what_a_member_says_otherwise_ends_nothing(head, said):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(10)
        head._waiting[1, 1] = ours
        head._hear(1, {"number": 1, **said})
        head._hear(1, {"number": 1, "code": 3})
        assert theirs.makefile("rb").read() == b'{"code": 3}\n'
