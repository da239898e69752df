"""Ports of runs that are ports here: every byte, both ways, through cuts and all kinds of servers.

The hosts of a sandbox are this machine, so a test listens "on the host" itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import random
import shutil
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import pytest

import genvx.aio
from genvx.errors import HostError, InvalidInput
from genvx.fleet.connect import connect
from genvx.fleet.detaching import runs
from genvx.fleet.fleet import Fleet, connect_fleet
from genvx.fleet.hosts.hostfile import load
from genvx.fleet.tunnels.forward import Forward
from genvx.fleet.tunnels.listening import Listening
from genvx.fleet.tunnels.tunnel import Tunnel
from genvx.testing import FakeHost, Played
from tests.doors import door
from tests.helpers import PATIENCE, children_of, until

pytestmark = pytest.mark.needs("openssh")

BLOCK = 65536
LINGER_NOT = struct.pack("ii", 1, 0)
# SSH_MSG_CHANNEL_DATA
DATA = 94


@pytest.fixture
def fleet(make_sandbox):
    """A host over SSH."""
    sandbox = make_sandbox("1")
    with connect_fleet(load(sandbox.hostfile), config=sandbox.ssh_config) as fleet:
        fleet.sandbox = sandbox
        yield fleet


@contextlib.contextmanager
def sleeping(fleet):
    run = fleet.run("sleep 600", gpus=0, detach=True)
    try:
        yield run
    finally:
        run.stop(force=True)


@contextlib.contextmanager
def server(
    handle: Callable[[socket.socket], object], address: str = "127.0.0.1", port: int = 0
) -> Iterator[int]:
    """A server that handles each connection in a thread; gives its port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, port), family=family, backlog=256) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=handled, args=(connection,), daemon=True).start()

        def handled(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                handle(connection)

        accepting = threading.Thread(target=serve)
        accepting.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def echo(connection: socket.socket) -> None:
    while data := connection.recv(BLOCK):
        connection.sendall(data)


def answers(port: int, said: bytes = b"hello") -> bool:
    """Whether an echo answers at a port here."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
            sock.sendall(said)
            sock.shutdown(socket.SHUT_WR)
            got = b""
            while data := sock.recv(BLOCK):
                got += data
            return got == said
    except OSError:
        return False


def summed(connection: socket.socket) -> None:
    """Read to the end; answer with the hash of it, as much of our own, and the hash of that."""
    read, size = hashlib.sha256(), 0
    while data := connection.recv(BLOCK):
        read.update(data)
        size += len(data)
    connection.sendall(read.digest())
    write, block = hashlib.sha256(), os.urandom(BLOCK)
    for _ in range(size // BLOCK):
        write.update(block)
        connection.sendall(block)
    connection.sendall(write.digest())


def sum_of(port: int, blocks: int) -> bool:
    """Send so many blocks to `summed`; return whether both sides got all of it."""
    block, sent, got = os.urandom(BLOCK), hashlib.sha256(), bytearray()
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        for _ in range(blocks):
            sent.update(block)
            sock.sendall(block)
        # Half closed: the answer comes after our end.
        sock.shutdown(socket.SHUT_WR)
        while data := sock.recv(BLOCK):
            got += data
    theirs = hashlib.sha256(got[32:-32]).digest()
    return (bytes(got[:32]), len(got), bytes(got[-32:])) == (
        sent.digest(),
        64 + blocks * BLOCK,
        theirs,
    )


def kill_connections(sandbox) -> None:
    """Kill the processes that serve the connections to the host."""
    for pid in children_of(sandbox.servers[0].pid):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def opened(run, forwards, told):
    with (
        Listening(forwards) as listening,
        Tunnel(run.host, run.info, listening, told.append) as tunnel,
    ):
        yield tunnel


def test_every_byte_comes_through_both_ways_also_when_two_hundred_come_at_once(nothing_left, fleet):
    with sleeping(fleet) as run, server(summed) as port, run.tunnel(port) as tunnel:
        assert tunnel.port > port  # which is taken, by the host that is this machine
        assert (tunnel.remote_port, tunnel.reverse) == (port, False)
        assert sum_of(tunnel.port, (100 << 20) // BLOCK)
        threads = threading.active_count()
        outcomes: list[bool] = []
        clients = [
            threading.Thread(target=lambda n=n: outcomes.append(sum_of(tunnel.port, n % 8)))
            for n in range(200)
        ]
        for each in clients:
            each.start()
        for each in clients:
            each.join()
        assert outcomes == [True] * 200
        until(lambda: threading.active_count() <= threads, "no thread of a connection is left")


def test_data_that_is_on_its_way_when_a_peer_closes_does_not_end_the_connection(
    nothing_left, fleet, monkeypatch
):
    """OpenSSH ends the whole connection for one message to a channel that is closed already."""
    send = paramiko.Transport._send_user_message
    late: list[int] = []

    def slow(self, message):
        data = message.asbytes()
        mine = threading.current_thread().name == "genvx tunnel"
        if not (mine and data[0] == DATA and data.endswith(b"last")):
            send(self, message)
            return
        theirs = int.from_bytes(data[1:5], "big")
        # The host may have given the number of a closed channel to another one: the newest.
        channel = max(
            (c for c in self._channels.values() if c.remote_chanid == theirs),
            key=lambda c: c.get_id(),
        )
        send(self, message)
        # Its server cannot write this any more, and closes the channel; the next piece comes then.
        until(lambda: channel.closed, "the host has closed it")
        late.append(theirs)
        send(self, message)

    def rude(connection: socket.socket) -> None:
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)

    monkeypatch.setattr(paramiko.Transport, "_send_user_message", slow)
    told: list[str] = []
    with (
        sleeping(fleet) as run,
        server(rude) as port,
        opened(run, [Forward(port, port)], told) as tunnel,
    ):
        with socket.create_connection(("127.0.0.1", tunnel.port), timeout=PATIENCE) as sock:
            sock.sendall(b"x")
            assert sock.recv(1) == b""
            sock.sendall(b"last")
            until(lambda: late, "it came too late")
            # Its answer is behind that.
            assert tunnel.answers(port)
        assert told == []


def test_peers_that_reset_their_connections_leave_nothing_behind(nothing_left, fleet):

    def rude(connection: socket.socket) -> None:
        connection.recv(random.randrange(1, 100_000))
        connection.sendall(bytes(random.randrange(100_000)))
        if random.random() < 0.7:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)

    def talk(port: int) -> None:
        for _ in range(10):
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", port), timeout=20) as sock,
            ):
                for _ in range(random.randrange(1, 40)):
                    sock.sendall(bytes(random.randrange(1, 20_000)))
                if random.random() < 0.3:
                    sock.shutdown(socket.SHUT_WR)
                while sock.recv(BLOCK):
                    pass

    told: list[str] = []
    with (
        sleeping(fleet) as run,
        server(rude) as port,
        opened(run, [Forward(port, port)], told) as tunnel,
    ):
        talkers = [threading.Thread(target=talk, args=(tunnel.port,)) for _ in range(20)]
        for each in talkers:
            each.start()
        for each in talkers:
            each.join()
        assert told == []
        descriptors = len(os.listdir("/proc/self/fd"))
        assert descriptors < 100, "sockets are left"


def test_who_reads_slowly_slows_its_peer_down_and_gets_every_byte(nothing_left, fleet):
    total, sent = 64 << 20, [0]

    def pour(connection: socket.socket) -> None:
        block = bytes(range(256)) * 256
        while sent[0] < total:
            sent[0] += connection.send(block[: total - sent[0]])

    with sleeping(fleet) as run, server(pour) as port, run.tunnel(port) as tunnel:
        with socket.create_connection(("127.0.0.1", tunnel.port), timeout=60) as sock:
            still, before = 0, -1
            while still < 20:  # nothing moves any more
                still, before = (still + 1, before) if sent[0] == before else (0, sent[0])
                time.sleep(0.02)
            assert 0 < sent[0] < 32 << 20
            used = time.process_time()
            time.sleep(0.5)
            assert time.process_time() - used < 0.25, "it waits without spinning"
            got, hashed = 0, hashlib.sha256()
            while data := sock.recv(1 << 20):
                got += len(data)
                hashed.update(data)
        expected = hashlib.sha256(bytes(range(256)) * (total // 256))
        assert (got, hashed.digest()) == (total, expected.digest())


def test_a_tunnel_survives_ten_cuts_and_ends_with_its_run(nothing_left, fleet, monkeypatch):
    monkeypatch.setattr(runs, "_PAUSE", 0.05)
    told: list[str] = []
    back = free_port()
    with sleeping(fleet) as run, server(echo) as port:
        forwards = [Forward(port, port), Forward(port, back, reverse=True)]
        with opened(run, forwards, told) as tunnel:
            for cut in range(1, 11):
                assert answers(tunnel.port)
                until(lambda: answers(back), "the host listens for us")
                with socket.create_connection(("127.0.0.1", tunnel.port), timeout=20) as open_one:
                    open_one.sendall(b"x")
                    assert open_one.recv(1) == b"x"
                    kill_connections(fleet.sandbox)
                    # What may be incomplete does not look as if it had ended well.
                    with pytest.raises(ConnectionResetError):
                        open_one.recv(1)
                # It waits until the host is there again.
                assert answers(tunnel.port)
                said = [line for line in told if "listen" not in line]
                assert len(said) == 2 * cut, said
                assert "connecting again" in said[-2]
                assert said[-1] == "gpu-server-1: connected again"
            run.stop(force=True)
            assert tunnel.wait(30)
            assert tunnel.end is not None
            assert tunnel.end.id == run.id
            with pytest.raises(OSError):
                socket.create_connection(("127.0.0.1", tunnel.port))


def test_a_run_that_is_held_for_a_look_has_tunnels_until_it_is_given_back(
    nothing_left, fleet, monkeypatch
):
    monkeypatch.setattr("genvx.fleet.tunnels.tunnel._LOOK", 0.1)
    run = fleet.run("exit 3", gpus=1, hold=600, detach=True)
    until(lambda: run.state == "held", "it is held")
    told: list[str] = []
    with server(echo) as port, opened(run, [Forward(port, port)], told) as tunnel:
        assert answers(tunnel.port)
        kill_connections(fleet.sandbox)
        assert answers(tunnel.port)
        assert [line.split("; ")[-1] for line in told] == [
            "connecting again",
            "gpu-server-1: connected again",
        ]
        assert not tunnel.wait(0.5)
        run.host.release(run.id)
        assert tunnel.wait(30)
        assert tunnel.closed
        assert tunnel.end is not None
        assert tunnel.end.id == run.id


def test_a_port_of_the_host_that_is_taken_is_refused_and_others_lead_here(nothing_left, fleet):
    told: list[str] = []
    with sleeping(fleet) as run, server(echo) as taken:
        with pytest.raises(InvalidInput, match=f"cannot listen on its port {taken}"):
            run.tunnel(taken, reverse=True)
        ports = [free_port(), free_port()]
        nobody = free_port()
        forwards = [Forward(taken, ports[0], True), Forward(nobody, ports[1], True)]
        with opened(run, forwards, told) as first:
            assert answers(ports[0])
            assert not answers(ports[1])
            assert not answers(ports[1])
            assert told == [
                f"a connection came from port {ports[1]} of gpu-server-1, but nothing listens on "
                f"port {nobody} here"
            ]
        # It listens no longer when that one has been closed, maybe a moment later.
        until(lambda: not listens(ports[0]), "the host has stopped listening")
        with run.tunnel(ports[0], taken, reverse=True) as tunnel:
            assert (tunnel.remote_port, tunnel.port, tunnel.reverse) == (ports[0], taken, True)
            first.close()  # once more; it has nothing to give back
            with pytest.raises(InvalidInput, match="another program has it"):
                run.tunnel(ports[0], taken, reverse=True)
            assert answers(ports[0])


def test_where_nothing_listens_yet_a_connection_is_closed_and_the_tunnel_stays(nothing_left, fleet):
    told: list[str] = []
    with sleeping(fleet) as run:
        port = free_port()
        with opened(run, [Forward(free_port(), port)], told) as tunnel:
            assert not any(answers(tunnel.port) for _ in range(5))
            assert told == [f"nothing listens on port {port} of gpu-server-1 yet"]
            # Some servers listen on one kind of address only.
            with server(echo, "::1", port):
                assert answers(tunnel.port)


def test_a_port_that_is_taken_here_gives_the_next_one_unless_it_must_be_that(nothing_left, fleet):
    with server(echo) as port, Listening([Forward(port, 80), Forward(port, 81)]) as listening:
        first, second = listening.forwards
        assert port < first.local < second.local
        for address in ("127.0.0.1", "::1"):
            with pytest.raises(InvalidInput, match=f"port {first.local} is taken"):
                Listening([Forward(first.local, 80)], strict=True, bind=address)
    with pytest.raises(InvalidInput, match="not an address of this machine"):
        Listening([Forward(port, 80)], bind="192.0.2.1")
    with Listening([Forward(port, 80)], bind="0.0.0.0") as listening:
        ((sock,),) = listening.sockets.values()
        assert sock.getsockname() == ("0.0.0.0", listening.forwards[0].local)


def test_a_program_has_tunnels_too_and_those_of_asyncio(nothing_left, fleet):
    with server(echo) as port, sleeping(fleet) as run:

        async def ask() -> bool:
            async with genvx.aio.Run(run).tunnel(port) as tunnel:
                leads = f"{tunnel.port} -> {fleet.hosts[0].name}:{port}"
                assert repr(tunnel) == f"<Tunnel {leads} of run {run.id}>"
                return await asyncio.to_thread(answers, tunnel.port)

        assert asyncio.run(ask())
        over = fleet.run("exit 3", detach=True)
        over.wait()
        until(lambda: over.state == "failed", "it is over")
        with pytest.raises(InvalidInput, match="is over: exit code 3"):
            over.tunnel(port)


@pytest.mark.parametrize(
    ("port", "more", "says"),
    [
        (0, {}, "from 1 to 65535, not 0"),
        ("6006", {}, "from 1 to 65535, not '6006'"),
        (6006, {"local": 65536}, "not 65536"),
        (6006, {"bind": "example.org"}, "address of this machine"),
        (6006, {"node": 1}, "no node 1"),
        (6006, {}, "localhost:6006"),
    ],
)
def test_a_tunnel_that_makes_no_sense_is_refused(port, more, says):
    host = FakeHost("a", script=lambda spec: Played(code=None))
    run = Fleet([host]).run("train", detach=True)
    with pytest.raises(InvalidInput, match=says):
        run.tunnel(port, **more)


def test_a_tunnel_goes_through_jump_hosts(nothing_left, make_sandbox):
    sandbox = make_sandbox("1", "1")
    config = Path(sandbox.ssh_config)
    text = config.read_text()
    config.write_text(
        text.replace("Host gpu-server-2", "Host gpu-server-2\n    ProxyJump gpu-server-1")
    )
    environ = {"GENVX_SSH_CONFIG": sandbox.ssh_config}
    with (
        connect("gpu-server-2", environ=environ) as fleet,
        sleeping(fleet) as run,
        server(summed) as port,
        run.tunnel(port) as tunnel,
    ):
        assert sum_of(tunnel.port, 64)
        log = Path(sandbox.hosts[0].path("log")).read_text()
        assert log.count("Accepted publickey") == 1


@contextlib.contextmanager
def behind(kind, short_tmp, agent_cache, *settings):
    """A fleet of one host with another kind of server, or other settings."""
    shutil.copytree(agent_cache, short_tmp / "cache")
    with door(kind, short_tmp, *settings) as host:
        environ = host.environ(f"IdentityFile {host.key}", "IdentityAgent none")
        with connect("door", environ=environ) as fleet, sleeping(fleet) as run:
            yield run


@pytest.mark.needs("root", "namespaces", "dropbear")
def test_dropbear_serves_tunnels_too(nothing_left, short_tmp, agent_cache):
    with behind("dropbear", short_tmp, agent_cache) as run, server(summed) as port:
        back = free_port()
        with run.tunnel(port) as tunnel, run.tunnel(back, port, reverse=True):
            assert sum_of(tunnel.port, 64)
            assert sum_of(back, 64)


@pytest.mark.needs("root", "namespaces")
def test_a_server_that_forbids_tunnels_is_named(nothing_left, short_tmp, agent_cache):
    with (
        behind("openssh", short_tmp, agent_cache, "AllowTcpForwarding no") as run,
        server(echo) as port,
    ):
        with pytest.raises(HostError, match="door forbids tunnels: see AllowTcpForwarding"):
            run.tunnel(port)
        with pytest.raises(InvalidInput, match=r"its sshd_config forbids it"):
            run.tunnel(free_port(), port, reverse=True)


@pytest.mark.needs("root", "namespaces")
def test_a_server_that_allows_some_ports_has_tunnels_to_those(nothing_left, short_tmp, agent_cache):
    with server(echo) as port:
        settings = f"PermitOpen 127.0.0.1:{port}"
        with behind("openssh", short_tmp, agent_cache, settings) as run:
            with run.tunnel(port) as tunnel:
                assert answers(tunnel.port)
            with pytest.raises(HostError, match="PermitOpen"):
                run.tunnel(port + 1)
