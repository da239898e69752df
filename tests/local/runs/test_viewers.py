"""Viewers of the terminal of a run: what they see, what they type, and that they never hold it up.
Real supervisors, sockets and terminals.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from genvx.core.wire.viewing import keys, size
from genvx.errors import StateError
from genvx.local.host import LocalHost
from genvx.local.runs import lock, viewers, viewsocket
from genvx.local.runs.guests import Guests
from genvx.local.runs.launch import submit
from genvx.local.runs.wakeups import Wakeups
from tests.capabilities import USER_A
from tests.conftest import run_genvx
from tests.helpers import Terminal, alive, genvx_argv, genvx_env, until
from tests.local.runs.test_runs import asked, ends_as, log_of, shell

# Tells its size each time that it has another one.
_SIZES = "trap 'stty size' WINCH; stty size; while :; do sleep 0.05; done"
_LEAVE = "\x1d\x1d\x1d"


class Viewer:
    """A viewer without a terminal of its own."""

    def __init__(self, host, run, rows=24, columns=80):
        self.socket = until(lambda: viewsocket.connect(host.state, run.id), "its socket")
        self.seen = b""
        self.resize(rows, columns)

    def resize(self, rows, columns):
        self.socket.sendall(size(rows, columns))

    def type(self, data):
        self.socket.sendall(keys(data))

    def expect(self, data):
        until(lambda: self.read() and data in self.seen, f"{data!r} after {self.seen[-500:]!r}")
        self.seen = self.seen.partition(data)[2]

    def read(self):
        while select.select([self.socket], [], [], 0)[0]:
            data = self.socket.recv(65536)
            if not data:
                break
            self.seen += data
        return True

    def close(self):
        self.socket.close()


@pytest.fixture
def join():
    made = []

    def begin(*arguments):
        made.append(Viewer(*arguments))
        return made[-1]

    yield begin
    for each in made:
        each.close()


@pytest.fixture
def watch(host):
    """Starts genvx watch -i in terminals."""
    made = []

    def begin(run, size=(24, 80), typed=""):
        made.append(Terminal(genvx_argv("watch", "-i", run.id), genvx_env(), size))
        made[-1].key(typed)
        made[-1].expect("leaves it\r\n")
        return made[-1]

    yield begin
    for each in made:
        each.child.close(force=True)


def test_the_smallest_size_of_all_viewers_counts_and_grows_back(host, start, join):
    run = start(shell(_SIZES, tty=True))
    first = join(host, run, 50, 100)
    first.expect(b"50 100\r\n")
    second = join(host, run, 40, 200)
    first.expect(b"40 100\r\n")
    second.expect(b"40 100\r\n")
    second.resize(30, 90)
    first.expect(b"30 90\r\n")
    second.close()
    first.expect(b"50 100\r\n")
    # Without viewers it stays as it was; the next one is told by the log.
    first.close()
    join(host, run, 50, 100).expect(b"50 100\r\n")
    assert log_of(host, run).splitlines()[-1] == "50 100"


def test_keys_of_all_viewers_reach_the_command_and_ctrl_c_its_foreground(
    host, start, catalog, join
):
    run = start(asked("bash", "--norc", tty=True, variables={"PS1": "$ "}))
    first, second = join(host, run), join(host, run)
    first.type(b"sh -c 'echo up; exec sleep 1000'\n")
    second.expect(b"up\r\n")
    second.type(b"\x03")
    first.expect(b"^C")
    first.expect(b"$ ")
    first.type(b"echo still $((1 + 1)); exit 5\n")
    second.expect(b"still 2\r\n")
    first.expect(b"still 2\r\n")
    assert ends_as(catalog, run, "failed").state.end.exit_code == 5
    assert second.socket.recv(65536) in (b"", b"exit\r\n")


def test_a_viewer_that_does_not_read_is_dropped_and_the_others_get_what_comes(
    host, start, catalog, join, short_tmp, monkeypatch
):
    # Of the supervisor, which is a fork of ours.
    monkeypatch.setattr(viewers, "_UNREAD", 1.5)
    monkeypatch.setattr(viewers, "_LOOK", 0.1)
    go, over = short_tmp / "go", short_tmp / "over"
    flood = f"head -c 50000000 /dev/zero | tr '\\0' x; touch {over}"
    wait = f"until [ -e {go} ]; do sleep 0.01; done"
    run = start(shell(f"{wait}; {flood}; cat", tty=True), fork=True)
    deaf, fine = join(host, run, 30, 80), join(host, run, 40, 80)
    go.touch()
    until(lambda: fine.read() and over.exists(), "it was not held up")
    fine.type(b"typed\n")
    fine.expect(b"typed\r\n")
    # A viewer that does not read counts no more.
    until(lambda: _rows(run) == 40, "the size of the other viewer")
    left = b""
    while part := deaf.socket.recv(65536):
        left += part
    assert len(left) < 5_000_000
    catalog.stop(run.id)


def _rows(run):
    with open(f"/proc/{run.state.pid}/fd/0", "rb", buffering=0) as terminal:
        return os.get_terminal_size(terminal.fileno()).lines


def test_a_viewer_that_is_gone_without_a_word_is_dropped(host, start, join, monkeypatch):
    monkeypatch.setattr(viewers, "_SILENT", 3.0)
    monkeypatch.setattr(viewers, "_LOOK", 0.1)
    run = start(shell(_SIZES, tty=True), fork=True)
    gone, stays = join(host, run, 30, 80), join(host, run, 40, 80)
    gone.expect(b"30 80\r\n")
    stays.expect(b"30 80\r\n")
    until(lambda: stays.resize(40, 80) or (stays.read() and b"40 80\r\n" in stays.seen))
    assert gone.socket.recv(65536) in (b"", b"30 80\r\n")


def test_a_stopped_viewer_does_not_hold_up_the_end_of_a_run(host, start, catalog, watch, short_tmp):
    go = short_tmp / "go"
    line = f"until [ -e {go} ]; do sleep 0.01; done; head -c 50000000 /dev/zero; exit 7"
    run = start(shell(line, tty=True))
    terminal = watch(run)
    os.kill(terminal.child.pid, signal.SIGSTOP)
    go.touch()
    assert ends_as(catalog, run, "failed").state.end.exit_code == 7
    until(lambda: lock.supervision_of(host.state, os.getuid(), run.id) is None)
    os.kill(terminal.child.pid, signal.SIGCONT)
    assert terminal.end() == 7


def test_a_viewer_that_comes_back_sees_what_was_there_and_the_end(host, start, watch):
    run = start(asked("bash", "--norc", tty=True, variables={"PS1": "in$ "}))
    terminal = watch(run, size=(33, 99))
    terminal.line("echo it is $((20 + 3)); stty size")
    terminal.expect("it is 23\r\n33 99\r\n")
    terminal.key(_LEAVE)
    terminal.expect(f"genvx: run {run.id} goes on; genvx watch -i {run.id} shows it again\r\n")
    assert terminal.end() == 0
    # What is typed before it is there is not lost.
    again, other = watch(run, typed="echo ahead $((40 + 2))\r"), watch(run)
    again.expect("it is 23\r\n33 99\r\n")
    again.expect("ahead 42\r\n")
    again.line(subprocess.list2cmdline(genvx_argv("watch", "-i", run.id)))
    again.expect(f"genvx: this is the terminal of run {run.id} already\r\n")
    os.kill(other.child.pid, signal.SIGKILL)
    again.line("exit 9")
    assert again.end() == 9


def test_the_terminal_is_restored_when_the_viewer_is_ended(host, start, short_tmp):
    run = start(shell("printf '\\033[?1049h\\033[?2004hready'; exec sleep 1000", tty=True))
    outer = Terminal(["bash", "--norc"], genvx_env(PS1="out$ "))
    outer.expect("out$ ")
    viewer = " ".join(genvx_argv("watch", "-i", run.id))
    outer.line(f"stty -a > {short_tmp}/before; {viewer}; stty -a > {short_tmp}/after")
    outer.expect("ready")
    group = os.tcgetpgrp(outer.child.child_fd)
    os.kill(group, signal.SIGTERM)
    before = outer.expect("out$ ")
    assert "\x1b[?1049l" in before
    assert "\x1b[?2004l" in before
    until(lambda: (short_tmp / "after").exists())
    assert (short_tmp / "after").read_text() == (short_tmp / "before").read_text()
    outer.line("exit")
    outer.end()


def test_what_has_no_terminal_is_refused_in_one_line_that_says_what_to_type(start, catalog):
    run = start(asked("sleep", "1000"))

    def refused(run):
        terminal = Terminal(genvx_argv("watch", "-i", run.id), genvx_env(), (24, 200))
        said = terminal.expect("shows its output\r\n")
        assert terminal.end() == 2
        return said

    assert refused(run) == (
        f"genvx: run {run.id} has no terminal, for it was started without --tty; "
        f"genvx watch {run.id} "
    )
    catalog.stop(run.id, force=True)
    ends_as(catalog, run, "stopped")
    assert refused(run) == f"genvx: run {run.id} is over: stopped (asked); genvx logs {run.id} "
    piped = run_genvx("watch", "-i", run.id)
    assert piped.returncode == 2
    assert piped.stderr == (
        "genvx: watch -i needs a terminal to type into and to show the run's; without one: "
        f"genvx watch {run.id}\n"
    )


@pytest.mark.needs("uids")
def test_nobody_else_can_view_a_terminal(start, shared_state, short_tmp, monkeypatch, world):
    monkeypatch.setenv("GENVX_STATE_DIR", str(shared_state))
    monkeypatch.setenv("GENVX_SIMULATE", "2xA100-80GB")
    monkeypatch.setenv("GENVX_RUNS_DIR", str(short_tmp / "runs"))
    host = LocalHost()
    run = submit(host, asked("cat", tty=True))
    Viewer(host, run).close()
    (path,) = Path(shared_state, "leases").glob(f"*/{run.id}.view")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    code = (
        "import socket; s = socket.socket(socket.AF_UNIX)\n"
        f"try: s.connect({str(path)!r})\n"
        "except OSError as error: print(type(error).__name__)\n"
        "else: s.settimeout(20); s.sendall(b'S\\0\\4\\0\\x18\\0P'); print(s.recv(9))"
    )
    assert world.run(USER_A, code).stdout == "PermissionError\n"
    # Also where the mode would let them.
    path.chmod(0o666)
    refused = world.run(USER_A, code)
    assert refused.stdout in ("b''\n", "")
    supervisor = lock.supervision_of(host.state, os.getuid(), run.id)
    os.kill(supervisor.pid, signal.SIGKILL)
    until(lambda: not alive(supervisor.pid))
    # What is left of it is dead, and the next command of its owner removes it.
    with pytest.raises(ConnectionRefusedError), socket.socket(socket.AF_UNIX) as late:
        late.connect(str(path))
    assert list(lock.living(host.state)) == []
    assert not path.exists()


def test_its_socket_is_gone_after_the_end_and_needs_no_short_path(
    host, catalog, short_tmp, monkeypatch, join
):
    long = short_tmp / ("long" * 30)
    long.mkdir()
    monkeypatch.setenv("GENVX_STATE_DIR", str(long / "state"))
    host = LocalHost()
    run = submit(host, asked("cat", tty=True))
    viewer, late = join(host, run), viewsocket.connect(host.state, run.id)
    assert list(long.glob(f"**/{run.id}.view"))
    viewer.type(b"last\n\x04")
    with late:  # one that has not even said its size sees the end
        assert late.recv(100).startswith(b"last\r\n")
    until(lambda: not list(long.glob(f"**/{run.id}.*")), "nothing of it is left")


def test_its_socket_is_gone_also_where_the_supervisor_fails(host, start, catalog, monkeypatch):
    def fail(*_):
        raise StateError("the state directory is gone")

    monkeypatch.setattr(Guests, "see_off", fail)
    run = start(shell("exit 0", tty=True), fork=True)  # a copy of us, and of what was patched
    until(lambda: lock.supervision_of(host.state, os.getuid(), run.id) is None)
    assert not list(Path(host.environ["GENVX_STATE_DIR"]).glob(f"**/{run.id}.view"))


@pytest.fixture
def wakeups():
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield Wakeups()
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def test_a_viewer_for_whom_no_descriptor_is_left_waits_without_waking_the_supervisor(
    host, wakeups, tmp_path
):
    log = os.open(tmp_path / "log", os.O_RDWR | os.O_CREAT)
    crowd = viewers.Viewers(host.state, "run", wakeups, log)
    assert crowd.open() == ""
    with viewsocket.connect(host.state, "run"):
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (_lowest_free(), limits[1]))
        try:
            crowd.take(wakeups.wait(10.0))
            assert not wakeups.wait(0.0).readable
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert not crowd.any_left
        assert crowd.due < 60
        crowd.tend()
        crowd.take(wakeups.wait(10.0))
        assert crowd.any_left
        crowd.end()
        crowd.close()
    os.close(log)


def _lowest_free():
    descriptor = os.dup(0)
    os.close(descriptor)
    return descriptor


def test_a_viewer_does_not_wait_for_a_supervisor_that_accepts_nobody(host):
    listener = viewsocket.listen(host.state, "run")
    listener.listen(0)
    with listener, viewsocket.connect(host.state, "run"):
        assert viewsocket.connect(host.state, "run") is None
