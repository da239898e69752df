"""What a question costs, in things that can be counted: connections, round trips, bytes, processes,
threads, and files that are read.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import socket
import threading
from pathlib import Path

import paramiko
import pytest

from genvx.core.leases.claim import Owner
from genvx.core.leases.lease import Lease
from genvx.core.value import replace
from genvx.core.wire import snapshotcodec
from genvx.core.wire.reply import Reply
from genvx.errors import HostError
from genvx.fleet.fleet import connect_fleet
from genvx.fleet.hosts.hostfile import load, parse
from genvx.fleet.hosts.hostspec import HostSpec
from genvx.local.host import LocalHost
from genvx.ssh import link
from genvx.ssh.config.sshconfig import Settler
from torture.servers import misbehaving, silent

pytestmark = pytest.mark.needs("openssh")

NAMES = [f"same{n}" for n in range(6)]


@pytest.fixture
def watched(unseen):
    """gpu-server-1 behind something that counts; gives the counts and what asks it."""
    counts = {"connections": 0, "turns": 0, "out": 0, "in": 0}
    lock = threading.Lock()
    last = [""]

    def count(direction, size):
        with lock:
            counts[direction] += size
            if direction == "out" and last[0] == "in":
                counts["turns"] += 1
            last[0] = direction

    def through(connection, stop):
        counts["connections"] += 1
        with socket.create_connection(("127.0.0.1", unseen.hosts[0].port)) as onward:

            def pump(source, sink, direction):
                with contextlib.suppress(OSError):
                    while data := source.recv(1 << 20):
                        count(direction, len(data))
                        sink.sendall(data)
                    sink.shutdown(socket.SHUT_WR)

            back = threading.Thread(target=pump, args=(onward, connection, "in"))
            back.start()
            pump(connection, onward, "out")
            back.join()

    with misbehaving(through) as port:
        config = Path(unseen.ssh_config)
        config.write_text(
            config.read_text().replace(f"Port {unseen.hosts[0].port}", f"Port {port}")
        )

        def ask(times=1):
            """Ask so often on one connection; return what each question has added."""
            seen = [dict(counts)]
            with connect_fleet(parse("gpu-server-1"), config=unseen.ssh_config) as fleet:
                for _ in range(times):
                    fleet.snapshot().values()
                    seen.append(dict(counts))
            return [
                {name: after[name] - before[name] for name in counts}
                for before, after in itertools.pairwise(seen)
            ]

        yield ask


def test_many_questions_take_one_connection(watched):
    assert [question["connections"] for question in watched(5)] == [1, 0, 0, 0, 0]


def test_a_question_takes_few_round_trips(watched):
    """Key exchange, login, channel, command, answer: whatever the distance, so often.

    The fewest turns that several questions took are the exchanges: a machine that is busy may split
    what one side says, and the other answers in between; but whoever waits for an answer always
    makes a turn.
    """
    watched()  # brings the agent
    assert min(watched()[0]["turns"] for _ in range(3)) <= 10
    assert min(question["turns"] for question in watched(6)[1:]) <= 4


def test_the_agent_travels_once_and_a_question_is_small(watched):
    first, second = (watched()[0]["out"] for _ in range(2))
    assert 100_000 < first < 220_000  # not the whole agent, which is three times as much
    assert second < 20_000


@pytest.fixture
def counted_ssh(tmp_path, monkeypatch):
    """Counts how often ssh is started."""
    real = shutil.which("ssh")
    log = tmp_path / "calls"
    script = tmp_path / "bin" / "ssh"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\necho x >>{log}\nexec {real} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    return lambda: log.read_text().count("x") if log.exists() else 0


@pytest.mark.parametrize(
    ("config", "processes"),
    [
        ("", 1),
        ("Host *\n  Port 2222\n  ProxyCommand nc %h %p\n", 1),
        ("Host same1\n  Port 2222\n", 2),
        ("Host same* !same2 !same3\n  Port 2222\n", 2),
        ("Host same?\n  HostName %h.lab\n", 6),
        ("Match exec true\n  Port 2222\n", 6),
        ("CanonicalizeHostname always\nCanonicalDomains invalid\n", 6),
    ],
)
def test_ssh_is_asked_once_for_hosts_that_it_cannot_tell_apart(
    counted_ssh, tmp_path, config, processes
):
    """And what it says of one holds for the others."""
    path = tmp_path / "config"
    path.write_text(config)
    settler = Settler(str(path))
    found = {name: settler.settings(HostSpec(name, name)) for name in NAMES}
    assert counted_ssh() == processes
    alone = {name: Settler(str(path)).settings(HostSpec(name, name)) for name in NAMES}
    assert found == alone


@pytest.mark.parametrize(
    ("config", "processes"),
    [
        ("", 1),
        ("Host *\n  User all\n  Port 2222\n  ProxyCommand nc %h %p\n", 1),
        ("Host *\n  ProxyJump bastion\n", 1),
        ("Match user user3\n  ProxyCommand nc %h 1\n", 4),
        ("Host *\n  IdentityFile ~/.ssh/%r-%p\n", 4),
        # One is its own jump host, which ssh refuses, and the others are not.
        ("Host *\n  ProxyJump 127.0.0.1:2202\n", 5),
    ],
)
def test_ssh_is_asked_once_for_the_ports_and_users_of_an_address(
    counted_ssh, tmp_path, config, processes
):
    path = tmp_path / "config"
    path.write_text(config)

    def said(settler, spec):
        try:
            return settler.settings(spec)
        except HostError as error:
            return str(error)

    hosts = [
        HostSpec(f"h{n}", "127.0.0.1", port=2200 + n, user=f"user{n}", key="~/.ssh/it")
        for n in range(4)
    ]
    settler = Settler(str(path))
    found = [said(settler, spec) for spec in hosts]
    assert counted_ssh() == processes
    assert found == [said(Settler(str(path)), spec) for spec in hosts]
    # What ssh_config says of ports and users is for hosts of which the hostfile says nothing.
    plain = HostSpec("plain", "127.0.0.1", key="~/.ssh/it")
    assert said(settler, plain) == said(Settler(str(path)), plain)


def test_a_file_that_ssh_config_includes_tells_hosts_apart_too(counted_ssh, tmp_path):
    (tmp_path / "more").write_text("Host same1\n  User not-me\n")
    (tmp_path / "config").write_text(f"Include {tmp_path}/more\n")
    settler = Settler(str(tmp_path / "config"))
    users = [settler.settings(HostSpec(name, name)).user for name in NAMES]
    assert counted_ssh() == 2
    assert users[1] == "not-me"
    assert "not-me" not in users[2:]


def test_keys_and_known_hosts_are_read_once_for_all_hosts(sandbox, monkeypatch):
    keys, known = [], []
    read = paramiko.PKey.from_path
    monkeypatch.setattr(
        paramiko.PKey, "from_path", staticmethod(lambda path: keys.append(path) or read(path))
    )

    real = open

    def counting(path, *more, **options):
        if str(path) == f"{sandbox.directory}/known_hosts":
            known.append(path)
        return real(path, *more, **options)

    monkeypatch.setattr("builtins.open", counting)
    configs = []
    make = link.fabric.Config
    monkeypatch.setattr(
        link.fabric, "Config", lambda *words, **more: configs.append(1) or make(*words, **more)
    )
    link._config.cache_clear()
    config = Path(sandbox.ssh_config)
    config.write_text(
        config.read_text().replace("Host gpu-server-2", f"Host gpu-server-2 {' '.join(NAMES)}")
    )
    with connect_fleet(parse("\n".join(NAMES)), config=str(config)) as fleet:
        fleet.snapshot().values()
    assert len(keys) == 1
    assert len(known) == 1
    assert len(configs) == 1


def test_a_host_that_keeps_us_waiting_costs_two_threads(tmp_path):
    seen = []
    with misbehaving(silent) as port:
        (tmp_path / "config").write_text(
            f"Host same*\n  HostName 127.0.0.1\n  Port {port}\n  IdentityAgent none\n"
        )
        before = threading.active_count()
        with connect_fleet(
            parse("\n".join(NAMES)), config=str(tmp_path / "config"), timeout=1.0
        ) as fleet:

            def question(host):
                try:
                    return host.snapshot()
                finally:
                    ours = [t for t in threading.enumerate() if "serve" not in t.name]
                    seen.append(len(ours))

            fleet.ask(question)
    # One that asks and one of paramiko's for each host, and one that watches the deadlines.
    assert max(seen) <= before + 2 * len(NAMES) + 1


@pytest.fixture
def large(state, monkeypatch):
    """A snapshot of 64 devices with as many leases as are asked for."""
    monkeypatch.setenv("GENVX_SIMULATE", "64xA100-80GB")
    snapshot = LocalHost("here").snapshot()

    def make(leases):
        held = tuple(
            Lease(
                id=f"{n:016x}",
                owner=Owner(1000, "raz"),
                environment_id=f"{n:08x}",
                name="train",
                devices=(snapshot.devices[n % 64].uuid,),
                memory=1 << 30,
                boot_id=snapshot.boot_id,
                since_ns=n,
                expires_ns=None,
                pid=n + 1,
                starttime=1,
                host="here",
                command="python train.py",
                note="",
            )
            for n in range(leases)
        )
        return replace(snapshot, leases=held)

    return make


def test_a_large_answer_grows_by_its_leases_and_by_nothing_else(large):
    sizes = [
        len(Reply(value=snapshotcodec.SNAPSHOT.write(large(n))).to_bytes("a" * 32))
        for n in (0, 500, 1000)
    ]
    assert sizes[0] < 64 * 1024
    first, second = sizes[1] - sizes[0], sizes[2] - sizes[1]
    assert abs(second - first) < first / 20
    assert second / 500 < 600


def test_a_large_answer_comes_through_whole(large):
    snapshot = large(1000)
    assert snapshotcodec.SNAPSHOT.read(snapshotcodec.SNAPSHOT.write(snapshot)) == snapshot


@pytest.mark.parametrize(("most", "kept"), [(1, 0), (2, 2)])
def test_a_fleet_keeps_connections_only_while_it_is_not_large(sandbox, most, kept):
    """Each is a descriptor, of which most systems give a process 1,024."""
    with connect_fleet(load(sandbox.hostfile), most_kept=most) as fleet:
        assert len(fleet.snapshot().succeeded) == 2
        assert sum(len(host.connections.open) for host in fleet.hosts) == kept


def test_a_hold_keeps_its_connection_in_a_large_fleet_too(sandbox):
    with (
        connect_fleet(load(sandbox.hostfile), most_kept=1) as fleet,
        fleet.activate(gpus=2),
    ):
        assert len(fleet.snapshot().values()["gpu-server-2"].environments) == 1
        assert len(fleet.snapshot().values()["gpu-server-2"].environments) == 1
