"""Servers that know the keys and turn bad at some stage: one line, one deadline, nothing left."""

from __future__ import annotations

import contextlib
import os
import socket
import threading

import paramiko
import pytest

from genvx.errors import HostError, HostUnreachable
from genvx.fleet.fleet import connect_fleet
from genvx.fleet.hosts.hostfile import parse
from genvx.sandbox import files

KEX, AUTH, CHANNEL, EXEC, OUTPUT = "kex", "auth", "channel", "exec", "output"
STAGES = [KEX, AUTH, CHANNEL, EXEC, OUTPUT]


class _Turncoat(paramiko.ServerInterface):
    """Behaves until `stage`, and then does as `turn` says."""

    def __init__(self, stage, turn):
        self.stage = stage
        self.turn = turn
        self.transport = None

    def at(self, stage, channel=None):
        if stage == self.stage:
            self.turn(self.transport, channel)

    def get_allowed_auths(self, username):
        return "publickey"

    def check_auth_publickey(self, username, key):
        self.at(AUTH)
        return paramiko.AUTH_SUCCESSFUL

    def check_channel_request(self, kind, chanid):
        self.at(CHANNEL)
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, command):
        self.at(EXEC)
        if self.stage == OUTPUT:
            threading.Thread(target=self._later, args=(channel,), daemon=True).start()
        return True

    def _later(self, channel):
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            self.at(OUTPUT, channel)


@pytest.fixture
def turncoat(tmp_path):
    """Asks a host that turns; gives the error. Fails if anything is left."""
    public = files.make_key(str(tmp_path / "host_key"), "x")
    files.make_key(str(tmp_path / "key"), "x")
    (tmp_path / "known_hosts").write_text(f"door {' '.join(public.split()[:2])}\n")

    def ask(stage, turn, timeout=1.0):
        server = _Turncoat(stage, turn)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            (tmp_path / "config").write_text(
                f"Host door\nHostName 127.0.0.1\nPort {listener.getsockname()[1]}\nUser x\n"
                f"HostKeyAlias door\nUserKnownHostsFile {tmp_path}/known_hosts\n"
                f"IdentityFile {tmp_path}/key\nIdentityAgent none\n"
            )
            over = threading.Event()

            def serve():
                connection, _ = listener.accept()
                server.transport = paramiko.Transport(connection)
                server.transport.add_server_key(
                    paramiko.Ed25519Key(filename=str(tmp_path / "host_key"))
                )
                with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
                    server.transport.start_server(server=server)
                    server.at(KEX)
                over.wait()
                server.transport.close()
                server.transport.join(30)

            thread = threading.Thread(target=serve)
            thread.start()
            try:
                specs = parse("door")
                config = str(tmp_path / "config")
                with connect_fleet(specs, config=config, timeout=timeout) as fleet:
                    error = fleet.snapshot().failed["door"]
            finally:
                over.set()
                thread.join()
        assert isinstance(error, HostError)
        assert str(error).isprintable()
        return error

    return ask


def close(transport, channel):
    transport.close()


def cut(transport, channel):
    transport.sock.shutdown(socket.SHUT_RDWR)


def hang(transport, channel):
    """Neither answers nor closes: the server's thread waits until the connection is gone."""
    transport.sock.settimeout(None)
    with contextlib.suppress(OSError):
        while transport.sock.recv(65536):
            pass


def garbage(transport, channel):
    transport.sock.sendall(os.urandom(4096))
    hang(transport, channel)


def huge(transport, channel):
    """A packet that says it is two gigabytes long."""
    transport.sock.sendall(b"\x7f\xff\xff\xff" + bytes(65536))
    hang(transport, channel)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("turn", [close, cut, hang, garbage, huge], ids=lambda t: t.__name__)
def test_a_host_that_turns_bad_is_one_line_with_nothing_left(turncoat, nothing_left, stage, turn):
    turncoat(stage, turn)


def test_the_time_to_connect_covers_the_handshake_as_with_ssh(tmp_path, nothing_left):
    """A server that accepts and says nothing is as silent as one that does not accept."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        config = tmp_path / "ssh_config"
        config.write_text(
            f"Host door\nHostName 127.0.0.1\nPort {silent.getsockname()[1]}\nConnectTimeout 1\n"
        )
        with connect_fleet(parse("door"), config=str(config), timeout=60.0) as fleet:
            error = fleet.snapshot().failed["door"]
    assert isinstance(error, HostUnreachable)
    assert str(error).endswith("within 1 s")


def test_a_host_that_floods_stdout_is_given_up(turncoat, nothing_left):
    def flood(transport, channel):
        while True:
            channel.sendall(b"y" * 65536)

    assert turncoat(OUTPUT, flood, timeout=15.0).kind == "protocol"


def test_a_host_that_floods_stderr_ends_at_the_deadline(turncoat, nothing_left):
    def flood(transport, channel):
        while True:
            channel.sendall_stderr(b"y" * 65536)

    assert turncoat(OUTPUT, flood).kind in ("timeout", "protocol")


def test_a_host_that_drips_output_ends_at_the_deadline(turncoat, nothing_left):
    def drip(transport, channel):
        gone = threading.Event()
        while not gone.wait(0.1):
            channel.sendall(b"y")

    assert turncoat(OUTPUT, drip).kind == "timeout"


def test_a_host_that_drips_packets_in_the_middle_of_the_login_ends_at_the_deadline(
    turncoat, nothing_left
):
    def drip(transport, channel):
        message = paramiko.Message()
        message.add_byte(b"\x02")  # ignore this
        message.add_string(b"x")
        gone = threading.Event()
        while not gone.wait(0.1) and transport.is_active():
            transport._send_message(message)

    assert turncoat(AUTH, drip).kind == "timeout"


def test_a_command_that_ends_without_exit_code_is_told(turncoat, nothing_left):
    error = turncoat(OUTPUT, lambda transport, channel: channel.close())
    assert error.kind == "protocol"


def test_a_subsystem_that_refuses_commands_is_told(turncoat, nothing_left):
    def refuse(transport, channel):
        raise paramiko.SSHException("no commands here")

    assert turncoat(EXEC, refuse).kind in ("protocol", "agent", "timeout")


@pytest.mark.parametrize("turn", [close, cut])
def test_a_connection_that_is_cut_during_the_login_is_no_refusal_of_the_key(turncoat, turn):
    error = turncoat(AUTH, turn, timeout=10.0)
    assert isinstance(error, HostUnreachable)
    assert "the connection was closed during the login" in str(error)
