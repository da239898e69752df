"""Real SSH: what is trusted, what is refused, and that nothing hangs or is left behind."""

from __future__ import annotations

import getpass
import os
import signal
import socket
import subprocess
import sys
from concurrent import futures
from pathlib import Path

import pytest

from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.errors import (
    AgentError,
    AuthenticationFailed,
    HostError,
    HostKeyError,
    HostUnreachable,
    NoCapacity,
    ProtocolError,
)
from genvx.fleet.fleet import connect_fleet
from genvx.fleet.hosts.hostfile import load, parse
from genvx.sandbox import files
from tests.helpers import PATIENCE, child_of, genvx_env, until
from torture.servers import BEHAVIOURS, misbehaving, silent

pytestmark = pytest.mark.needs("openssh")


@pytest.fixture
def ask(sandbox):
    """Asks the hosts of a hostfile's text; gives the outcomes."""

    def ask(text=None, *, timeout=15.0, question=lambda host: host.snapshot(), **options):
        specs = parse(text) if text else load(sandbox.hostfile)
        options.setdefault("config", sandbox.ssh_config)
        with connect_fleet(specs, timeout=timeout, **options) as fleet:
            return fleet.ask(question)

    return ask


def failure(outcomes, name="gpu-server-1"):
    return outcomes.failed[name]


def rewrite(path, change):
    file = Path(path)
    file.write_text(change(file.read_text()))


def host_key_line(sandbox, number=0):
    return Path(sandbox.hosts[number].path("host_key.pub")).read_text()


def fingerprint(sandbox, number=0):
    import base64

    from genvx.ssh.hostkey.hostkeyrefusal import fingerprint

    return fingerprint(base64.b64decode(host_key_line(sandbox, number).split()[1]))


# Host keys


def test_a_known_key_works(ask):
    outcomes = ask()
    assert outcomes.failed == {}
    assert [len(s.devices) for s in outcomes.succeeded.values()] == [1, 2]


def test_an_unknown_key_is_refused_with_fingerprint_and_advice(ask, sandbox):
    Path(f"{sandbox.directory}/known_hosts").write_text("")
    error = failure(ask())
    assert isinstance(error, HostKeyError)
    assert fingerprint(sandbox) in str(error)
    assert "--accept-new-host-keys" in str(error)
    assert Path(f"{sandbox.directory}/known_hosts").read_text() == ""


def test_a_changed_key_is_refused_even_with_accept_new(ask, sandbox):
    other = files.make_key(f"{sandbox.directory}/other", "x").split()
    Path(f"{sandbox.directory}/known_hosts").write_text(f"gpu-server-1 {other[0]} {other[1]}\n")
    for accept in (False, True):
        error = failure(ask("gpu-server-1", accept_new_host_keys=accept))
        assert isinstance(error, HostKeyError)
        assert "has changed" in str(error)
        assert fingerprint(sandbox) in str(error)
        assert "ssh-keygen -R" in str(error)


def test_a_revoked_key_is_refused_even_if_it_is_also_known(ask, sandbox):
    kind, blob, *_ = host_key_line(sandbox).split()
    rewrite(f"{sandbox.directory}/known_hosts", lambda t: f"{t}@revoked * {kind} {blob}\n")
    error = failure(ask("gpu-server-1", accept_new_host_keys=True))
    assert isinstance(error, HostKeyError)
    assert "is revoked" in str(error)


def test_accept_new_remembers_the_key_once_and_for_the_right_name(ask, sandbox):
    path = Path(f"{sandbox.directory}/known_hosts")
    path.write_text("")
    assert ask(accept_new_host_keys=True).failed == {}
    assert sorted(line.split()[0] for line in path.read_text().splitlines()) == [
        "gpu-server-1",
        "gpu-server-2",
    ]
    assert ask().failed == {}


def test_broken_lines_in_known_hosts_do_not_matter(ask, sandbox):
    path = Path(f"{sandbox.directory}/known_hosts")
    path.write_bytes(b"\xff\xfe broken\n@cert-authority * x y\n" + path.read_bytes())
    assert ask().failed == {}


# Jump hosts


def test_a_host_behind_a_jump_host_answers(ask, sandbox):
    rewrite(
        sandbox.ssh_config,
        lambda t: t.replace("Host gpu-server-2", "Host gpu-server-2\n    ProxyJump gpu-server-1"),
    )
    outcomes = ask("gpu-server-2")
    assert outcomes.failed == {}


def test_an_unknown_jump_host_is_refused(ask, sandbox):
    rewrite(
        sandbox.ssh_config,
        lambda t: t.replace("Host gpu-server-2", "Host gpu-server-2\n    ProxyJump gpu-server-1"),
    )
    rewrite(
        f"{sandbox.directory}/known_hosts",
        lambda t: "".join(
            line for line in t.splitlines(True) if not line.startswith("gpu-server-1 ")
        ),
    )
    error = failure(ask("gpu-server-2"), "gpu-server-2")
    assert isinstance(error, HostKeyError)
    assert str(error).startswith(
        "jump host gpu-server-1: the host key of gpu-server-1 is not known"
    )


def test_an_unknown_host_behind_a_known_jump_host_is_refused(ask, sandbox):
    rewrite(
        sandbox.ssh_config,
        lambda t: t.replace("Host gpu-server-2", "Host gpu-server-2\n    ProxyJump gpu-server-1"),
    )
    rewrite(
        f"{sandbox.directory}/known_hosts",
        lambda t: "".join(
            line for line in t.splitlines(True) if not line.startswith("gpu-server-2 ")
        ),
    )
    error = failure(ask("gpu-server-2"), "gpu-server-2")
    assert isinstance(error, HostKeyError)
    assert "gpu-server-2 is not known" in str(error)


def test_a_proxy_command_is_a_way_in(ask, sandbox):
    command = f"ssh -F {sandbox.ssh_config} -W %h:%p gpu-server-2"
    rewrite(
        sandbox.ssh_config,
        lambda t: t.replace("Host gpu-server-1", f"Host gpu-server-1\n    ProxyCommand {command}"),
    )
    assert ask("gpu-server-1").failed == {}


# Who we are


def test_a_key_that_the_host_does_not_know_is_an_authentication_failure(ask, sandbox):
    files.make_key(f"{sandbox.directory}/stranger", "x")
    error = failure(ask(f"gpu-server-1 key={sandbox.directory}/stranger"))
    assert isinstance(error, AuthenticationFailed)


def test_a_login_name_holds_where_the_hostfile_does_not_say_and_not_for_jump_hosts(ask, sandbox):
    me = getpass.getuser()
    outcomes = ask(f"gpu-server-1\n{me}@gpu-server-2", user="no-such-user")
    assert list(outcomes.succeeded) == ["gpu-server-2"]
    assert "no-such-user" in str(outcomes.failed["gpu-server-1"])
    rewrite(
        sandbox.ssh_config,
        lambda t: t.replace("Host gpu-server-2", "Host gpu-server-2\n    ProxyJump gpu-server-1"),
    )
    assert "jump host" not in str(ask("gpu-server-2", user="no-such-user").failed["gpu-server-2"])


def test_one_hosts_key_is_not_offered_to_another(ask, sandbox):
    """Fabric's shared arguments would let the second host in by the first one's key."""
    files.make_key(f"{sandbox.directory}/stranger", "x")
    right = f"{sandbox.directory}/id_ed25519"
    outcomes = ask(f"gpu-server-1 key={right}\ngpu-server-2 key={sandbox.directory}/stranger")
    assert list(outcomes.succeeded) == ["gpu-server-1"]
    assert isinstance(outcomes.failed["gpu-server-2"], AuthenticationFailed)


# Hosts that do not answer


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda b: b.__name__)
def test_a_server_that_misbehaves_ends_at_the_deadline_with_nothing_left(
    ask, nothing_left, behaviour
):
    with misbehaving(behaviour) as port:
        outcomes = ask(f"127.0.0.1:{port} user=x", timeout=1.0, config="/dev/null")
    (error,) = outcomes.failed.values()
    assert isinstance(error, HostUnreachable | ProtocolError)
    assert str(error).isprintable()


def test_a_refused_connection_and_an_unknown_name_are_told_apart(ask, nothing_left):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    outcomes = ask(f"127.0.0.1:{port}\nno-such-host.invalid", config="/dev/null")
    assert outcomes.failed[f"127.0.0.1:{port}"].kind == "refused"
    assert outcomes.failed["no-such-host.invalid"].kind == "dns"


def test_a_silent_jump_host_ends_at_the_deadline(ask, sandbox, nothing_left):
    with misbehaving(silent) as port:
        rewrite(
            sandbox.ssh_config,
            lambda t: t.replace(
                "Host gpu-server-2", f"Host gpu-server-2\n    ProxyJump x@127.0.0.1:{port}"
            ),
        )
        error = failure(ask("gpu-server-2", timeout=1.0), "gpu-server-2")
    assert error.kind == "timeout"


def test_a_failing_handshake_does_not_print(ask, capfd):
    with misbehaving(BEHAVIOURS[4]) as port:
        ask(f"127.0.0.1:{port}", timeout=1.0, config="/dev/null")
    assert capfd.readouterr() == ("", "")


# The far end


@pytest.mark.parametrize("python", ["/no/such/python", "/bin/false"])
def test_a_python_that_cannot_run_genvx_is_named(ask, python):
    error = failure(ask(f"gpu-server-1 python={python}"))
    assert isinstance(error, AgentError)
    assert python in str(error) or "gave no reply and exit code 1" in str(error)


def test_noisy_start_up_files_do_not_matter(ask, sandbox):
    rewrite(
        f"{sandbox.hosts[0].home}/.bashrc",
        lambda t: t + "echo Welcome; echo GENVX-REPLY; printf 'no newline'; echo oops >&2\n",
    )
    assert ask().failed == {}


def test_start_up_files_that_never_stop_printing_are_given_up(ask, sandbox):
    rewrite(f"{sandbox.hosts[0].home}/.bashrc", lambda t: t + "yes\n")
    error = failure(ask("gpu-server-1", timeout=5.0))
    assert isinstance(error, HostError)
    assert "64 KiB" in str(error)


def test_start_up_files_that_hang_are_a_timeout(ask, sandbox, nothing_left):
    rewrite(f"{sandbox.hosts[0].home}/.bashrc", lambda t: t + "sleep 600\n")
    assert failure(ask("gpu-server-1", timeout=1.5)).kind == "timeout"


def test_start_up_files_that_exit_are_an_error_with_their_last_words(ask, sandbox):
    rewrite(f"{sandbox.hosts[0].home}/.bashrc", lambda t: t + "echo go away >&2; exit 3\n")
    assert "exit code 3: go away" in str(failure(ask("gpu-server-1")))


def test_a_module_beside_the_users_home_is_not_imported(ask, sandbox):
    Path(f"{sandbox.hosts[0].home}/json.py").write_text("raise SystemExit('shadowed')")
    assert ask().failed == {}


def test_only_the_devices_that_the_hostfile_offers_are_seen_and_taken(sandbox):
    text = "gpu-server-2 gpus=1"
    with connect_fleet(parse(text), config=sandbox.ssh_config) as fleet:
        (snapshot,) = fleet.snapshot().succeeded.values()
        assert [d.index for d in snapshot.devices] == [1]
        with fleet.activate(gpus=1) as hold:
            assert [d.index for d in hold.grant.devices] == [1]
        with pytest.raises(NoCapacity):
            fleet.host("gpu-server-2").acquire(Ask(Requirements(2)))


def test_one_connection_serves_many_questions(sandbox):
    with connect_fleet(load(sandbox.hostfile)) as fleet:
        host = fleet.host("gpu-server-1")
        host.snapshot()
        links = host.connections.open
        host.doctor()
        host.snapshot()
        assert host.connections.open == links


def test_a_connection_that_ends_while_it_is_asked_again_is_replaced(sandbox):
    with connect_fleet(load(sandbox.hostfile)) as fleet:
        host = fleet.host("gpu-server-1")
        host.snapshot()
        server = child_of(sandbox.servers[0].pid)
        os.kill(server, signal.SIGSTOP)
        with futures.ThreadPoolExecutor() as pool:
            asked = pool.submit(host.snapshot)
            until(
                lambda: host.connections.open[0].transport.channel_events,
                "a channel is being opened",
            )
            os.kill(server, signal.SIGKILL)
            assert len(asked.result().devices) == 1


def test_a_call_that_fails_does_not_end_a_hold_on_the_same_connection(sandbox):
    with connect_fleet(load(sandbox.hostfile), timeout=3.0) as fleet:
        host = fleet.host("gpu-server-2")
        with host.acquire(Ask(Requirements(2), name="kept")):
            rewrite(f"{sandbox.hosts[1].home}/.bashrc", lambda t: f"sleep 600\n{t}")
            with pytest.raises(HostUnreachable):
                host.doctor()
            rewrite(f"{sandbox.hosts[1].home}/.bashrc", lambda t: t.replace("sleep 600\n", ""))
            assert [e.name for e in host.snapshot().environments] == ["kept"]
        assert host.snapshot().environments == ()


def test_output_of_a_remote_command_comes_through(sandbox, capfd):
    with connect_fleet(load(sandbox.hostfile)) as fleet, fleet.activate(gpus=2, name="ä b") as env:
        assert (
            env.run(["printf", "%s|", "a b", "it's", "$HOME", "日本"], check=True).returncode == 0
        )
        assert env.run("echo $GENVX_ENVIRONMENT_NAME on $GENVX_DEVICES; exit 4").returncode == 4
        assert len(fleet.host("gpu-server-2").snapshot().environments) == 1
    assert capfd.readouterr().out == "a b|it's|$HOME|日本|ä b on 0,1\n"


# It exits as any program does, through its blocks and the handlers at its exit.
_FORKS = """
import os, sys
from genvx.fleet.fleet import connect_fleet
from genvx.fleet.hosts.hostfile import load
with connect_fleet(load(sys.argv[1]), config=sys.argv[2]) as fleet, fleet.activate(gpus=1) as hold:
    links = [link for host in fleet.hosts for link in host.connections.open]
    if os.fork() == 0:
        sys.exit(7)
    print(os.waitstatus_to_exitcode(os.wait()[1]))
    (seen,) = fleet.snapshot().values().values()
    print([env.id for env in seen.environments] == [hold.environment_id])
    print([link for host in fleet.hosts for link in host.connections.open] == links)
"""


@pytest.mark.parametrize("way", ["ProxyJump gpu-server-1", "ProxyCommand {ssh} -W %h:%p other"])
def test_the_end_of_a_forked_child_is_not_the_end_of_its_parents_connections(sandbox, way):
    port = sandbox.hosts[1].port
    line = way.format(ssh=f"ssh -F {sandbox.ssh_config}").replace(
        "%h:%p other", f"127.0.0.1:{port} gpu-server-1"
    )
    rewrite(
        sandbox.ssh_config,
        lambda t: t.replace("Host gpu-server-2", f"Host gpu-server-2\n    {line}"),
    )
    rewrite(sandbox.hostfile, lambda t: "gpu-server-2\n")
    done = subprocess.run(
        [sys.executable, "-c", _FORKS, sandbox.hostfile, sandbox.ssh_config],
        env=genvx_env(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.stdout, done.stderr) == ("7\nTrue\nTrue\n", "")
