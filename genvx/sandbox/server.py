"""A small SSH server with paramiko, for sandboxes on machines without OpenSSH's server.

It listens on the loopback interface and accepts one user with one key. It runs their commands and
shells, with or without a terminal, as sshd does: through the login shell, in a session of their
own, with SIGHUP when the client is gone.
"""

from __future__ import annotations

import json
import os
import pwd
import signal
import socket
import sys
import threading
from typing import Any

import paramiko
from paramiko import common

from genvx.sandbox.commands import Session, run_with_pipes, run_with_terminal, set_size
from genvx.sandbox.host import SandboxHost


def main() -> None:
    """Serve one host; sys.argv has the directory of the sandbox and the host as JSON."""
    directory, text = sys.argv[1:3]
    host = SandboxHost(**json.loads(text))
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    key = paramiko.Ed25519Key(filename=host.path("host_key"))
    with open(host.path("authorized_keys"), encoding="ascii") as file:
        allowed = file.read().split()[1]
    with socket.create_server(("127.0.0.1", host.port), backlog=256) as listener:
        while True:
            connection, _ = listener.accept()
            threading.Thread(
                target=_serve, args=(connection, key, allowed, host, directory), daemon=True
            ).start()


def _serve(
    connection: socket.socket,
    key: paramiko.PKey,
    allowed: str,
    host: SandboxHost,
    directory: str,
) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    transport = paramiko.Transport(connection)
    transport.add_server_key(key)
    try:
        transport.start_server(server=_Server(allowed, host, directory))
    except (paramiko.SSHException, EOFError, OSError):
        transport.close()


class _Server(paramiko.ServerInterface):
    def __init__(self, allowed: str, host: SandboxHost, directory: str) -> None:
        self._allowed = allowed
        self._host = host
        self._directory = directory
        self._sessions: dict[int, Session] = {}

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        user = pwd.getpwuid(os.getuid()).pw_name
        right = username == user and key.get_base64() == self._allowed
        return common.AUTH_SUCCESSFUL if right else common.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        if kind != "session":
            return common.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
        self._sessions[chanid] = Session()
        return common.OPEN_SUCCEEDED

    def check_channel_env_request(
        self, channel: paramiko.Channel, name: bytes | str, value: bytes | str
    ) -> bool:
        text = name.decode() if isinstance(name, bytes) else name
        if text == "LANG" or text.startswith("LC_"):
            shown = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
            self._sessions[channel.get_id()].variables[text] = shown
            return True
        return False

    def check_channel_pty_request(
        self,
        channel: paramiko.Channel,
        term: bytes,
        width: int,
        height: int,
        pixelwidth: int,
        pixelheight: int,
        modes: bytes,
    ) -> bool:
        session = self._sessions[channel.get_id()]
        session.size = (width, height)
        session.variables["TERM"] = term.decode("ascii", "replace")
        return True

    def check_channel_window_change_request(
        self,
        channel: paramiko.Channel,
        width: int,
        height: int,
        pixelwidth: int,
        pixelheight: int,
    ) -> bool:
        session = self._sessions[channel.get_id()]
        if session.master >= 0:
            set_size(session.master, width, height)
        return True

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        return self._start(channel, command.decode("utf-8", "surrogateescape"))

    def check_channel_shell_request(self, channel: paramiko.Channel) -> bool:
        return self._start(channel, None)

    def _start(self, channel: paramiko.Channel, command: str | None) -> bool:
        session = self._sessions[channel.get_id()]
        shell = pwd.getpwuid(os.getuid()).pw_shell or "/bin/sh"
        name = os.path.basename(shell)
        argv = [f"-{name}"] if command is None else [name, "-c", command]
        environment = {
            **session.variables,
            **self._host.variables(self._directory),
            "SHELL": shell,
            "USER": pwd.getpwuid(os.getuid()).pw_name,
            "LOGNAME": pwd.getpwuid(os.getuid()).pw_name,
            "SSH_CONNECTION": f"127.0.0.1 0 127.0.0.1 {self._host.port}",
        }
        options: dict[str, Any] = {
            "executable": shell,
            "env": environment,
            "cwd": self._host.home,
            "start_new_session": True,
        }
        run = run_with_terminal if session.size is not None else run_with_pipes
        threading.Thread(target=run, args=(channel, session, argv, options), daemon=True).start()
        return True
