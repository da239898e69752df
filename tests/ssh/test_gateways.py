"""Jump hosts that are shared, jump hosts that are dead, and servers that take few at a time."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from pathlib import Path

import pytest

from genvx.errors import HostUnreachable
from genvx.fleet.fleet import connect_fleet
from genvx.fleet.hosts.hostfile import parse
from genvx.ssh.deadline import Deadline
from genvx.ssh.gateway import Gateway
from torture.servers import misbehaving

pytestmark = pytest.mark.needs("openssh")

SIX = [f"behind{n}" for n in range(6)]


@pytest.fixture
def behind(sandbox):
    """Makes six names of gpu-server-2, all behind a jump host; gives a fleet of them."""

    def fleet(jump, **options):
        config = Path(sandbox.ssh_config)
        text = config.read_text()
        config.write_text(
            text.replace("Host gpu-server-2", f"Host gpu-server-2 behind*\n    ProxyJump {jump}")
        )
        return connect_fleet(parse("\n".join(SIX)), config=sandbox.ssh_config, **options)

    return fleet


def logins(sandbox, number):
    """How often somebody has logged in to a host of the sandbox."""
    log = Path(sandbox.hosts[number].path("log")).read_text()
    return log.count("Accepted publickey")


def test_hosts_behind_one_jump_host_share_a_connection_to_it(behind, sandbox, nothing_left):
    with behind("gpu-server-1") as fleet:
        assert len(fleet.snapshot().values()) == 6
        assert (logins(sandbox, 0), logins(sandbox, 1)) == (1, 6)


def test_a_chain_of_jump_hosts_is_a_way_in(behind, sandbox, nothing_left):
    with behind("gpu-server-1,gpu-server-2") as fleet:
        # gpu-server-2 has the chain to itself in front of it, as a hop it has not.
        assert len(fleet.snapshot().values()) == 6
        assert logins(sandbox, 0) == 1


def test_a_jump_host_whose_last_user_has_gone_is_left(behind, sandbox, nothing_left):
    with behind("gpu-server-1") as fleet:
        fleet.snapshot()
        for host in fleet.hosts:
            host.close()
        fleet.snapshot()
        assert logins(sandbox, 0) == 2


def test_a_dead_jump_host_costs_its_hosts_one_deadline_together(behind, nothing_left):
    """Two are asked at once: each pair would wait for a deadline of its own."""
    tried = []

    def dead(connection, stop):
        tried.append(connection)
        stop.wait()

    with (
        misbehaving(dead) as port,
        behind(f"x@127.0.0.1:{port}", timeout=1.0, fanout=2) as fleet,
    ):
        failed = fleet.snapshot().failed
    assert [error.kind for error in failed.values()] == ["timeout"] * 6
    assert len(tried) == 1


@pytest.mark.parametrize(("remembers", "tries"), [(60.0, 1), (0.0, 2)])
def test_a_jump_host_that_failed_is_tried_again_later(remembers, tries):
    tried = []

    def dead(target, deadline, through):
        tried.append(target)
        raise HostUnreachable("no route to host", kind="refused")

    gateway = Gateway("bastion", dead, remembers=remembers)
    for _ in range(2):
        with pytest.raises(HostUnreachable, match="jump host bastion: no route to host"):
            gateway.open_channel(("127.0.0.1", 22), Deadline(1.0))
    assert len(tried) == tries


def forward(connection, port, stop):
    """Pass bytes between a connection and a port of loopback, both ways."""
    with socket.create_connection(("127.0.0.1", port)) as onward:

        def pump(source, sink):
            with contextlib.suppress(OSError):  # either end may go first
                while data := source.recv(65536):
                    sink.sendall(data)
                sink.shutdown(socket.SHUT_WR)

        back = threading.Thread(target=pump, args=(onward, connection))
        back.start()
        pump(connection, onward)
        back.join()


def test_few_log_in_to_one_server_at_once(sandbox, nothing_left):
    """sshd drops connections when ten have not logged in yet."""
    lock = threading.Lock()
    now, most = [], []

    def is_open(connection):
        """Whether the client has not hung up, also where that was not read yet."""
        poll = select.poll()
        poll.register(connection, select.POLLRDHUP)
        return not poll.poll(0)

    def slow(connection, stop):
        with lock:
            now.append(connection)
            most.append(sum(map(is_open, now)))
        connection.recv(1024)
        while connection.recv(1024):
            pass
        with lock:
            now.remove(connection)

    with misbehaving(slow) as port:
        config = f"{sandbox.directory}/many"
        Path(config).write_text(f"Host many*\nHostName 127.0.0.1\nPort {port}\n")
        names = "\n".join(f"many{n}" for n in range(20))
        with connect_fleet(parse(names), config=config, timeout=1.0) as fleet:
            assert len(fleet.snapshot().failed) == 20
    assert max(most) == 8


@pytest.mark.parametrize("times", [1, 2])
def test_a_server_that_hangs_up_under_load_is_tried_again(sandbox, times, nothing_left):
    tries = []

    def busy(connection, stop):
        tries.append(connection)
        if len(tries) > times:
            forward(connection, sandbox.hosts[0].port, stop)

    with misbehaving(busy) as port:
        config = Path(sandbox.ssh_config)
        config.write_text(
            config.read_text().replace(f"Port {sandbox.hosts[0].port}", f"Port {port}")
        )
        with connect_fleet(parse("gpu-server-1"), config=sandbox.ssh_config) as fleet:
            assert fleet.snapshot().values()["gpu-server-1"].devices
    assert len(tries) == times + 1


def test_a_server_that_always_hangs_up_is_given_up(sandbox, nothing_left):
    tries = []
    with misbehaving(lambda connection, stop: tries.append(connection)) as port:
        specs = parse(f"127.0.0.1:{port}")
        with connect_fleet(specs, config="/dev/null") as fleet:
            (error,) = fleet.snapshot().failed.values()
    assert len(tries) == 3
    assert error.kind == "protocol"
    assert "it closed the connection" in str(error)
