"""What ssh_config says, as ssh itself understands it."""

from __future__ import annotations

import threading

import pytest

from genvx.errors import HostError
from genvx.fleet.hosts.hostnames import parse_names
from genvx.fleet.hosts.hostspec import HostSpec
from genvx.ssh.config.options import SSHOptions
from genvx.ssh.config.sshconfig import Settler
from genvx.ssh.credentials.login import Login
from genvx.ssh.deadline import Deadline
from genvx.ssh.link import Link, _construct
from genvx.ssh.session import Session

pytestmark = pytest.mark.needs("openssh")


@pytest.fixture
def settings(tmp_path):
    """The settings of one host by the text of an ssh_config."""

    def ask(text, host="door"):
        path = tmp_path / "config"
        path.write_text(text)
        (spec,) = parse_names(host)
        return Settler(str(path)).settings(spec)

    return ask


def test_settings_that_trip_paramikos_reader_are_understood(settings):
    found = settings(
        "Host door\n  ForwardAgent /run/agent\n  ConnectTimeout none\n  ProxyJump none\n"
        "Match final\n  User bob\n"
    )
    assert (found.user, found.proxy_jump, found.connect_timeout) == ("bob", None, None)


def test_an_ipv6_address_with_a_port_is_understood(settings):
    found = settings("", "[::1]:2222")
    assert (found.hostname, found.port, found.key_name) == ("::1", 2222, "[::1]:2222")


def test_one_name_in_two_configurations_is_two_hosts(tmp_path):
    """As a host of the hostfile, and as a jump host."""
    for user in ("ann", "bob"):
        (tmp_path / user).write_text(f"Match all\n  User {user}\n")
    settler = Settler(str(tmp_path / "ann"))
    hosts = [HostSpec("door", "door"), HostSpec("door", "door", ssh_config=str(tmp_path / "bob"))]
    assert [settler.settings(host).user for host in hosts] == ["ann", "bob"]


def test_a_match_that_no_host_meets_does_not_count(settings):
    assert settings('Match host "other"\n  User not-me\n').user != "not-me"


def test_a_command_in_ssh_config_is_run_by_ssh_alone(settings, tmp_path):
    """paramiko would run it where it is constructed, and whatever host is meant."""
    ran = tmp_path / "ran"
    settings(f'Match host other exec "touch {ran}"\n  User bob\n')
    assert not ran.exists()


@pytest.mark.parametrize(
    ("text", "agent"),
    [
        ("", "/run/agent"),
        ("IdentityAgent none\n", ""),
        ("IdentityAgent SSH_AUTH_SOCK\n", "/run/agent"),
        ("IdentityAgent $OTHER\n", "/run/other"),
        ("IdentityAgent /run/mine\n", "/run/mine"),
    ],
)
def test_the_agent_is_the_one_that_ssh_would_ask(settings, monkeypatch, text, agent):
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    monkeypatch.setenv("OTHER", "/run/other")
    assert settings(text).agent == agent


def test_a_configuration_that_ssh_refuses_is_one_line(settings):
    with pytest.raises(HostError, match="ssh refuses its configuration") as caught:
        settings("Nonsense yes\n")
    assert caught.value.kind == "config"


def test_without_ssh_paramikos_reader_does(settings, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    found = settings(
        "Host door\n  HostName 10.0.0.1\n  Port 2222\n  User bob\n  UserKnownHostsFile /k\n"
    )
    assert (found.hostname, found.port, found.user) == ("10.0.0.1", 2222, "bob")
    assert (found.known_hosts[0], found.key_name) == ("/k", "[10.0.0.1]:2222")
    assert not found.accept_new


@pytest.mark.parametrize("port", ["22\0", "many", "0", "65536", "٢٢", "9" * 1000])
def test_what_is_no_port_is_refused_without_ssh_too(settings, monkeypatch, tmp_path, port):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError, match="a port is from 1 to 65535") as caught:
        settings(f"Host door\n  Port {port}\n")
    assert caught.value.kind == "config"
    assert str(caught.value).isprintable()


def test_a_pattern_that_would_take_for_ever_is_refused_without_ssh(settings, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError, match="a word of more than 1024 characters"):
        settings(f"Host {'[' * 50_000}\n  Port 22\n")


def test_connections_can_be_made_in_many_threads_at_once():
    """With one Config for all, as Fabric has it, more than half of these fail."""
    session = Session(SSHOptions(config="/dev/null"), Link.open)
    spec = HostSpec("door", "127.0.0.1")
    settings = session.settings(spec)
    failed = []

    def make():
        try:
            for _ in range(100):
                deadline = Deadline(60.0)
                login = Login(spec, settings, session.keyring, session.vault, deadline, "")
                connection = _construct(spec, settings, session, None, deadline, login)
                assert connection.host == "127.0.0.1"
        except Exception as error:  # whatever it is, in a thread it would be lost
            failed.append(error)

    threads = [threading.Thread(target=make) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_a_path_with_a_nul_is_one_that_is_not_there(settings, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert settings("Host door\n  IdentityFile ~\0x/id\n").identities == ()


def test_tokens_and_variables_mean_in_every_path_what_ssh_says(settings, monkeypatch, tmp_path):
    """IdentityAgent is what ssh itself expands before it prints."""
    monkeypatch.setenv("VARIABLE", "%h")
    path = f"{tmp_path}/${{VARIABLE}}-%%-%C-%d-%h-%i-%k-%L-%l-%n-%p-%r-%u"
    found = settings(
        f"Host door\n  HostName 10.0.0.1\n  Port 2222\n  User bob\n  IdentityFile {path}\n"
        f"  IdentityAgent {path}\n"
    )
    assert found.missing == (found.agent,)


def test_keys_that_nobody_has_named_are_not_missing(settings):
    assert settings("").missing == ()


def test_a_proxy_command_may_name_the_host_as_it_was_given(settings):
    from genvx.ssh.proxy import _command

    found = settings(
        "Host door\n  HostName 10.0.0.1\n  ProxyCommand nc %n %h %p %r %%h\n  User x\n"
    )
    assert _command(found) == "nc door 10.0.0.1 22 x %h"


def test_what_the_hostfile_says_goes_before_ssh_config(settings):
    found = settings(
        "Host a\n  HostKeyAlias alias\n  ProxyJump j\n  StrictHostKeyChecking accept-new\n",
        "u@a:99",
    )
    assert (found.user, found.port, found.key_name) == ("u", 99, "alias")
    assert (found.proxy_jump, found.accept_new) == ("j", True)
