"""Ctrl-C in the main thread leaves connections whole, and is heard at once."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import pytest

import genvx.ssh
from genvx.errors import HostUnreachable
from genvx.fleet.fleet import connect_fleet
from genvx.fleet.hosts.hostfile import load
from genvx.sandbox import sandbox as rooms
from genvx.ssh.apart import apart
from genvx.ssh.deadline import Deadline
from genvx.ssh.ending import close_channel
from tests.helpers import until

# Code in which Ctrl-C may find the main thread.
OF_CONNECTIONS = (
    os.path.dirname(paramiko.__file__),
    os.path.dirname(genvx.ssh.__file__),
    threading.__file__,
)
PATIENCE = 10.0
HOUR = 3600.0


class Interruption:
    """Raises KeyboardInterrupt in the main thread at the n-th place where Python looks for signals.

    It looks for them when a function is entered, and when one of C has returned.
    """

    def __init__(self, n: int) -> None:
        self._left = n
        self.where = ""
        # Kept: Python forgets a profile function that raises, and may call it once more.
        self._looks = self._look

    def __enter__(self) -> Interruption:
        sys.setprofile(self._looks)
        return self

    def __exit__(self, *exception: object) -> None:
        sys.setprofile(None)

    def _look(self, frame, event, argument) -> None:
        if event not in ("call", "c_return"):
            return
        if not frame.f_code.co_filename.startswith(OF_CONNECTIONS):
            return
        self._left -= 1
        if self._left == 0:
            self.where = f"{frame.f_code.co_filename}:{frame.f_lineno} {event} {argument}"
            raise KeyboardInterrupt


@contextlib.contextmanager
def ctrl_c(*when: Callable[[], object]) -> Iterator[None]:
    """Press Ctrl-C during the block, which ends with it, once for each of `when` that is true."""

    def press() -> None:
        for each in when:
            until(each)
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        thread.join()


def waiting() -> bool:
    """Whether the main thread waits for another one to do its work."""
    frame = sys._current_frames()[threading.main_thread().ident or 0]
    return frame.f_code.co_name in ("done_by_another", "_leave")


# What is done apart


def test_a_thread_that_is_not_the_main_one_does_its_work_itself():
    doers = []
    thread = threading.Thread(target=lambda: doers.append(apart()(threading.get_ident)()))
    thread.start()
    thread.join()
    assert doers == [thread.ident]


def test_the_main_thread_gets_what_another_one_returns_or_raises():
    assert apart()(threading.get_ident)() != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        apart()(divmod)(1, 0)


def test_what_goes_on_after_ctrl_c_is_undone():
    go, undone = threading.Event(), []

    @apart(moment=0.0, undo=lambda *what: undone.append(what))
    def act(word):
        go.wait()
        return word.upper()

    with ctrl_c(waiting):
        act("word")
    assert not undone
    go.set()
    until(lambda: undone == [("WORD", "word")])


def test_what_ends_soon_after_ctrl_c_is_waited_for():
    go, ended = threading.Event(), []

    @apart(moment=HOUR)
    def act():
        go.wait()
        ended.append("yes")

    def left() -> bool:
        if sys._current_frames()[threading.main_thread().ident or 0].f_code.co_name == "_leave":
            go.set()
        return go.is_set()

    watching = threading.Thread(target=lambda: until(left))
    watching.start()
    with ctrl_c(waiting):
        act()
    assert ended == ["yes"]
    watching.join()


def test_a_second_ctrl_c_waits_for_nothing():
    go = threading.Event()
    leaving = []

    def again() -> bool:
        frame = sys._current_frames()[threading.main_thread().ident or 0]
        leaving.append(frame.f_code.co_name == "_leave")
        return leaving[-1]

    with ctrl_c(waiting, again):
        apart(moment=HOUR)(go.wait)()
    go.set()


def test_a_forked_child_has_a_thread_of_its_own_for_it():
    ask = apart()(threading.get_ident)
    ask()
    pid = os.fork()
    if not pid:
        signal.alarm(int(PATIENCE))
        os._exit(0 if ask() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_no_thread_stays_when_there_is_nothing_to_do(nothing_left):
    apart()(int)()


# Connections


@pytest.fixture(scope="module")
def sandbox_here() -> Iterator[rooms.Sandbox]:
    directory = f"/var/tmp/genvx-test-{os.getpid()}-{secrets.token_hex(4)}"
    yield rooms.up(directory, ["1"], server="openssh")
    rooms.down(directory)
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def connections(sandbox_here):
    """The connections to a host, of which one is open."""
    with connect_fleet(load(sandbox_here.hostfile), config=sandbox_here.ssh_config) as fleet:
        connections = fleet.hosts[0].connections
        assert spoken(connections) == b"word"
        yield connections


def spoken(connections, patience: float = PATIENCE) -> bytes:
    """Have the host say what we say to it."""
    with Deadline(patience) as deadline:
        link, channel = connections.channel(deadline, lambda new: new.exec_command("cat"))
        try:
            link.pulse.watch(channel)
            channel.settimeout(deadline.left())
            channel.sendall(b"word")
            channel.shutdown_write()
            said = b""
            while data := channel.recv(100):
                said += data
            assert channel.recv_exit_status() == 0
        finally:
            close_channel(channel)
    return said


def started(connections, command: str) -> paramiko.Channel:
    """Start a command that goes on."""
    with Deadline(PATIENCE) as deadline:
        return connections.channel(deadline, lambda new: new.exec_command(command))[1]


def within_patience(act: Callable[[], object]) -> object:
    """Return what `act` returns, or that it hangs."""
    result: list[object] = []
    thread = threading.Thread(target=lambda: result.append(act()), daemon=True)
    thread.start()
    thread.join(2 * PATIENCE)
    return result[0] if result else "it hangs"


@pytest.mark.needs("openssh")
def test_ctrl_c_at_any_place_leaves_a_connection_that_can_be_used(connections):
    (link,) = connections.open
    n = 0
    while True:
        n += 1
        with Interruption(n) as interruption, contextlib.suppress(KeyboardInterrupt):
            spoken(connections)
        if not interruption.where:
            break
        assert within_patience(lambda: spoken(connections)) == b"word", interruption.where
        assert connections.open == (link,), interruption.where
    assert n > 30, "nothing was interrupted"


@pytest.mark.needs("openssh")
def test_ctrl_c_at_any_place_while_a_connection_opens_leaves_none(connections):
    connections.close()
    before = open_connections()
    n = 0
    while True:
        n += 1
        deadline = Deadline(PATIENCE)
        with Interruption(n) as interruption, contextlib.suppress(KeyboardInterrupt), deadline:
            connections.link(deadline)
        if not interruption.where:
            break
        assert within_patience(connections.close) is None, interruption.where
    assert n > 10, "nothing was interrupted"
    connections.close()
    until(lambda: open_connections() <= before, "connections are left")


def open_connections() -> int:
    """The number of connections of this process, and of its sockets."""
    sockets = 0
    for each in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            sockets += os.readlink(f"/proc/self/fd/{each}").startswith("socket:")
    return sockets + sum(isinstance(each, paramiko.Transport) for each in threading.enumerate())


@pytest.mark.needs("openssh")
def test_what_comes_after_ctrl_c_is_not_lost(connections):
    channel = started(connections, "cat; echo wrong >&2")
    with ctrl_c(waiting):
        channel.recv(100)
    channel.sendall(b"word")
    assert channel.recv(100) == b"word"
    with ctrl_c(waiting):
        channel.recv_stderr(100)
    channel.shutdown_write()
    assert channel.recv_stderr(100) == b"wrong\n"
    close_channel(channel)


@pytest.mark.needs("openssh")
def test_ctrl_c_ends_a_send_for_which_the_host_has_no_room(connections):
    (link,) = connections.open
    channel = started(connections, "sleep 1000")
    with ctrl_c(lambda: waiting() and not channel.out_window_size):
        channel.sendall(bytes(8 << 20))
    close_channel(channel)
    assert spoken(connections) == b"word"
    assert connections.open == (link,)


@pytest.mark.needs("openssh")
def test_ctrl_c_ends_a_send_over_a_network_that_is_stuck(connections, sandbox_here):
    (link,) = connections.open
    channel = started(connections, "sleep 1000")
    link.transport.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with stopped(sandbox_here.servers[0].pid):
        with ctrl_c(lambda: waiting() and writes()):
            channel.sendall(bytes(8 << 20))
        # It waits for no one: neither for the send, nor to say over the same connection that it
        # has ended.
        with pytest.raises(HostUnreachable):
            spoken(connections, 1.0)
        assert spoken(connections) == b"word"
        assert link not in connections.open


def writes() -> bool:
    """Whether a thread of ours cannot go on writing to a connection."""
    names = [frame.f_code.co_name for frame in sys._current_frames().values()]
    if "write_all" not in names:
        return False
    time.sleep(0.2)
    return "write_all" in [frame.f_code.co_name for frame in sys._current_frames().values()]


@contextlib.contextmanager
def stopped(server: int) -> Iterator[None]:
    """Stop the processes that an sshd has for its connections."""
    pids, ours = [], [server]
    while ours:
        task = ours.pop()
        for each in Path(f"/proc/{task}/task/{task}/children").read_text().split():
            pids.append(int(each))
            ours.append(int(each))
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    yield
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
