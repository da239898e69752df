"""What a person's ssh_config and known_hosts may say, as OpenSSH takes it: none of it breaks genvx,
and the advice after a refusal works.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from genvx.sandbox import files
from tests.conftest import run_genvx
from tests.helpers import Terminal, end, genvx_argv, genvx_env, start_genvx, until

pytestmark = pytest.mark.needs("openssh", "bash")


@pytest.fixture
def first(make_sandbox):
    """A sandbox with one host; `first.say(text)` adds to what ssh_config says of it."""
    return make_sandbox("1")


def say(sandbox, *lines, without=()):
    config = Path(sandbox.ssh_config)
    kept = [
        line
        for line in config.read_text().splitlines()
        if not line.strip().startswith(tuple(without) or "\0")
    ]
    config.write_text("\n".join([*kept, *(f"    {line}" for line in lines)]) + "\n")


def seen():
    answer = run_genvx("remote", "devices", "--json")
    return answer.returncode, answer.stderr


@pytest.mark.parametrize(
    "settings",
    [
        ["RemoteCommand tmux attach", "RequestTTY force"],
        ["RequestTTY no"],
        ["SessionType none"],
        ["StdinNull yes"],
        ["ForkAfterAuthentication yes"],
        ["PermitLocalCommand yes", "LocalCommand echo CLUTTER; sleep 600"],
        ["ControlMaster auto", "ControlPath {directory}/mux", "ControlPersist 10m"],
        ["ControlPath {directory}/gone"],
        ["ExitOnForwardFailure yes", "LocalForward {taken} localhost:80"],
        ["ExitOnForwardFailure yes", "DynamicForward {taken}"],
        ["ExitOnForwardFailure yes", "RemoteForward {taken} localhost:80"],
        ["ClearAllForwardings yes", "BatchMode yes", "EscapeChar none", "LogLevel DEBUG"],
    ],
    ids=lambda settings: settings[0].split()[0] + "-" + settings[-1].split()[0],
)
def test_no_setting_of_ones_own_keeps_a_remote_shell_from_working(first, settings):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = listener.getsockname()[1]
        say(first, *(each.format(directory=first.directory, taken=taken) for each in settings))
        shell = Terminal(genvx_argv("remote", "activate", "--gpus", "1"), genvx_env())
        shell.expect("gpu-server-1 $ ")
        shell.line("echo on $GENVX_DEVICES; exit 7")
        shown = shell.expect("on 0\r\n")
        assert shell.end() == 7
    assert "CLUTTER" not in shown
    assert not Path(first.directory, "mux").exists()


def test_a_key_that_is_named_by_tokens_is_used(first, monkeypatch):
    key = Path(first.directory, "id_ed25519")
    key.rename(key.with_name("key-127.0.0.1-gpu-server-1"))
    monkeypatch.setenv("KEYS", first.directory)
    say(first, "IdentityFile ${KEYS}/key-%h-%n", without=["IdentityFile"])
    assert seen() == (0, "")


def test_keys_that_were_named_and_cannot_be_used_are_said(first):
    Path(first.directory, "broken").write_text("no key")
    say(
        first,
        f"IdentityFile {first.directory}/gone-%p",
        f"IdentityFile {first.directory}/broken",
        without=["IdentityFile"],
    )
    code, said = seen()
    port = first.hosts[0].port
    assert code == 4
    assert f"(key {first.directory}/gone-{port}: no such file; " in said
    assert f"key {first.directory}/broken: it is damaged" in said


# Host keys


def test_a_key_that_is_known_without_the_port_is_known(first):
    known = Path(first.directory, "known_hosts")
    known.write_text(known.read_text().replace("gpu-server-1", "127.0.0.1"))
    say(first, without=["HostKeyAlias"])
    assert seen() == (0, "")


def test_a_key_that_is_revoked_without_the_port_is_revoked(first):
    known = Path(first.directory, "known_hosts")
    line = known.read_text().replace("gpu-server-1", "127.0.0.1")
    known.write_text(f"@revoked {line}")
    say(first, "StrictHostKeyChecking accept-new", without=["HostKeyAlias", "Strict"])
    code, said = seen()
    assert code == 4
    assert "is revoked" in said


def test_another_key_without_the_port_is_another_servers(first):
    other = files.make_key(f"{first.directory}/other", "x").split()
    known = Path(first.directory, "known_hosts")
    known.write_text(f"127.0.0.1 {other[0]} {other[1]}\n")
    say(first, "StrictHostKeyChecking accept-new", without=["HostKeyAlias", "Strict"])
    assert seen() == (0, "")
    assert f"[127.0.0.1]:{first.hosts[0].port}" in known.read_text()


def test_an_alias_has_no_port_to_leave_out(first):
    known = Path(first.directory, "known_hosts")
    known.write_text(known.read_text().replace("gpu-server-1", "127.0.0.1"))
    assert seen()[0] == 4


def test_any_of_several_known_hosts_files_may_have_the_key(first):
    known = Path(first.directory, "known_hosts")
    known.rename(known.with_name("second"))
    files_ = f"{first.directory}/first-%h {first.directory}/second"
    say(first, f"UserKnownHostsFile {files_}", without=["UserKnownHostsFile"])
    assert seen() == (0, "")


def test_this_machine_needs_no_key_where_ssh_needs_none(first):
    Path(first.directory, "known_hosts").write_text("")
    say(first, "NoHostAuthenticationForLocalhost yes", without=["HostKeyAlias"])
    assert seen() == (0, "")


def test_where_nothing_can_be_remembered_no_advice_is_given_that_cannot_work(first):
    say(first, "UserKnownHostsFile none", without=["UserKnownHostsFile"])
    code, said = seen()
    assert code == 4
    assert "UserKnownHostsFile in ssh_config names no file" in said


@pytest.mark.parametrize(
    "settings",
    [
        {"without": ["HostKeyAlias"]},
        {"without": ["HostKeyAlias", "StrictHostKeyChecking", "Port"], "port": True},
        {"lines": ["UserKnownHostsFile {directory}/mine-%h /dev/null"], "without": ["UserKnown"]},
        {"lines": ["KnownHostsCommand {directory}/vouch"]},
        {"lines": ["RemoteCommand echo hi"]},
        {"authority": True},
    ],
    ids=["port", "hostfile-port", "file", "command", "remote-command", "authority"],
)
def test_the_advised_line_makes_the_host_known(first, settings, monkeypatch):
    known = Path(first.directory, "known_hosts")
    vouch = Path(first.directory, "vouch")
    vouch.write_text(f"#!/bin/sh\ncat {first.directory}/vouched\n")
    vouch.chmod(0o700)
    known.rename(known.with_name("vouched"))
    known.write_text("")
    lines = [line.format(directory=first.directory) for line in settings.get("lines", [])]
    say(first, *lines, without=settings.get("without", ()))
    if settings.get("port"):
        hostfile = Path(first.directory, "hostfile")
        host = f"gpu-server-1:{first.hosts[0].port} ssh_config=ssh_config\n"
        hostfile.write_text(host)
    if settings.get("authority"):
        certify(first)
    code, said = seen()
    assert code == 4
    line = re.search(r"(?:answer yes to|remember it with): (ssh .*?)(?: \(or|$)", said)
    assert line is not None, said
    person = Terminal(shlex.split(line[1]), genvx_env())
    person.expect("(yes/no/[fingerprint])?")
    person.line("yes")
    if "RemoteCommand echo hi" not in lines:
        person.expect("$ ")
        person.line("exit")
    person.child.wait()
    assert seen() == (0, "")


def certify(sandbox):
    """Have the host show a certificate, of an authority that the client knows."""
    authority, key = f"{sandbox.directory}/authority", sandbox.hosts[0].path("host_key")
    line = files.make_key(authority, "ca").split()
    subprocess.run(
        ["ssh-keygen", "-q", "-s", authority, "-h", "-I", "x", "-n", "gpu-server-1", f"{key}.pub"],
        check=True,
    )
    Path(sandbox.directory, "known_hosts").write_text(f"@cert-authority * {line[0]} {line[1]}\n")
    configure(sandbox, lambda text: f"{text}HostCertificate {key}-cert.pub\n")


def configure(sandbox, change):
    """Change what the sshd of each host is told."""
    for host, server in zip(sandbox.hosts, sandbox.servers, strict=True):
        config, log = Path(host.path("sshd_config")), Path(host.path("log"))
        config.write_text(change(config.read_text()))
        before = log.read_text().count("Server listening")
        os.kill(server.pid, signal.SIGHUP)
        until(
            lambda log=log, n=before: log.read_text().count("Server listening") > n,
            "sshd reads it",
        )


def test_a_changed_key_can_be_removed_as_the_advice_says(first):
    other = files.make_key(f"{first.directory}/other", "x").split()
    known = Path(first.directory, "known_hosts")
    port = first.hosts[0].port
    known.write_text(f"[127.0.0.1]:{port} {other[0]} {other[1]}\n")
    say(first, without=["HostKeyAlias"])
    code, said = seen()
    assert code == 4
    line = re.search(r"(ssh-keygen -R .*)", said)
    assert line is not None
    Terminal(shlex.split(line[1]), genvx_env()).end()
    assert known.read_text() == ""


# Servers that allow few sessions on a connection


@pytest.fixture
def one_session(sandbox):
    configure(sandbox, lambda text: text.replace("MaxSessions 256", "MaxSessions 1"))
    return sandbox


@pytest.mark.parametrize("options", [("-N", "2", "-g", "1"), ("-g", "2", "--wait")])
def test_one_session_on_a_connection_is_enough_for_what_needs_more(one_session, options):
    answer = run_genvx("remote", "-q", "run", *options, "--", "sh", "-c", "echo on $GENVX_DEVICES")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "on 0" in answer.stdout


def test_a_signal_reaches_a_command_that_has_the_only_session(one_session):
    process = start_genvx("remote", "run", "-g", "1", "--", "sh", "-c", "echo up; exec sleep 600")
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 128 + signal.SIGTERM
    end(process)


def test_no_session_at_all_is_said_to_be_none(sandbox):
    configure(sandbox, lambda text: text.replace("MaxSessions 256", "MaxSessions 0"))
    answer = run_genvx("remote", "-H", "gpu-server-1", "devices")
    assert answer.returncode == 4
    assert "refuses a session" in answer.stderr
    assert "MaxSessions" in answer.stderr


def test_a_jump_host_that_cannot_reach_a_host_is_the_one_that_is_blamed(sandbox):
    say(sandbox, "Port 1", "ProxyJump gpu-server-1", without=[f"Port {sandbox.hosts[1].port}"])
    answer = run_genvx("remote", "--hostfile", sandbox.hostfile, "devices")
    assert "jump host gpu-server-1 cannot reach 127.0.0.1 port 1" in answer.stderr


def test_a_jump_host_is_who_the_hosts_own_ssh_config_says(sandbox, monkeypatch):
    monkeypatch.delenv("GENVX_SSH_CONFIG")
    say(sandbox, "ProxyJump gpu-server-1")
    answer = run_genvx("remote", "--hostfile", sandbox.hostfile, "devices")
    assert (answer.returncode, answer.stderr) == (0, "")
