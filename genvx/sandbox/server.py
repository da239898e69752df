"""A small SSH server with paramiko, for sandboxes on machines without OpenSSH's server.

It listens on the loopback interface and accepts one user with one key. It runs their commands and
shells, with or without a terminal, as sshd does: through the login shell, in a session of their
own, with SIGHUP when the client is gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import pwd
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

import paramiko
from paramiko import common

from genvx.sandbox.files import SandboxHost

if TYPE_CHECKING:
    from collections.abc import Callable


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


@dataclass
class _Session:
    """One channel, before and while its command runs.

    size: of the terminal that was asked for; None for none. master: the terminal; -1 for none.
    lock: held while another thread uses `master`, which must not be closed meanwhile.
    """

    variables: dict[str, str] = field(default_factory=dict)
    size: tuple[int, int] | None = None
    master: int = -1
    lock: threading.Lock = field(default_factory=threading.Lock)


class _Server(paramiko.ServerInterface):
    def __init__(self, allowed: str, host: SandboxHost, directory: str) -> None:
        self._allowed = allowed
        self._host = host
        self._directory = directory
        self._sessions: dict[int, _Session] = {}

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        user = pwd.getpwuid(os.getuid()).pw_name
        right = username == user and key.get_base64() == self._allowed
        return common.AUTH_SUCCESSFUL if right else common.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        if kind != "session":
            return common.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
        self._sessions[chanid] = _Session()
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
            _set_size(session.master, width, height)
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
        run = _run_with_terminal if session.size is not None else _run_with_pipes
        threading.Thread(target=run, args=(channel, session, argv, options), daemon=True).start()
        return True


def _set_size(master: int, width: int, height: int) -> None:
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))


# Makes the terminal on stdin the controlling one (TIOCSCTTY), without which Ctrl-C and job control
# do not work, then becomes the shell, whose argv[0] is "-bash" or the like for a login shell.
_TAKE_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.argv[1], sys.argv[2:])"
)


def _run_with_terminal(
    channel: paramiko.Channel, session: _Session, argv: list[str], options: dict[str, Any]
) -> None:
    master, slave = pty.openpty()
    session.master = master
    assert session.size is not None
    _set_size(master, *session.size)
    shell = options.pop("executable")
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _TAKE_TERMINAL, shell, *argv],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        **options,
    )
    os.close(slave)

    def hang_up() -> None:
        with session.lock:
            # After the end of the session, its process group may belong to somebody else.
            if session.master >= 0:
                _hang_up(session.master, process.pid)

    feeder = threading.Thread(target=_pump_in, args=(channel, master, hang_up), daemon=True)
    feeder.start()
    _pump_out(master, channel.sendall)
    with session.lock:
        session.master = -1
    _finish(channel, process)
    # The feeder may be writing to the terminal; after a close, another terminal could have its
    # number.
    feeder.join()
    os.close(master)


def _run_with_pipes(
    channel: paramiko.Channel, session: _Session, argv: list[str], options: dict[str, Any]
) -> None:
    # A socket pair for the output, as sshd uses: after a shutdown, a command that writes notices
    # that nobody reads any more.
    out_ours, out_theirs = socket.socketpair()
    process = subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=out_theirs.fileno(), stderr=subprocess.PIPE, **options
    )
    out_theirs.close()
    assert process.stdin is not None
    assert process.stderr is not None
    stdin = process.stdin.fileno()

    def hang_up() -> None:
        out_ours.shutdown(socket.SHUT_RDWR)

    threading.Thread(
        target=_pump_in, args=(channel, stdin, hang_up, process.stdin), daemon=True
    ).start()
    errors = threading.Thread(
        target=_pump_out, args=(process.stderr.fileno(), channel.sendall_stderr), daemon=True
    )
    errors.start()
    _pump_out(out_ours.fileno(), channel.sendall)
    errors.join()
    _finish(channel, process)
    process.stderr.close()


def _pump_out(source: int, send: Any) -> None:
    while True:
        try:
            data = os.read(source, 32768)
        except OSError:
            return  # EIO: the last process has closed the terminal; EBADF: we have closed it
        if not data:
            return
        try:
            send(data)
        except OSError:
            return


def _pump_in(
    channel: paramiko.Channel,
    target: int,
    hang_up: Callable[[], None],
    stdin: IO[bytes] | None = None,
) -> None:
    """Feed the command, and close its stdin at the end; hang up when the client is gone."""
    try:
        while True:
            data = channel.recv(32768)
            if not data:
                break
            while data:
                data = data[os.write(target, data) :]
    except OSError:
        pass  # the command is gone
    # The end of the input is not the end of the client, which may still read. It is gone when the
    # channel has closed.
    if stdin is not None:
        stdin.close()
        channel.status_event.wait()
    if channel.closed:
        hang_up()


def _hang_up(master: int, leader: int) -> None:
    """Send SIGHUP to the session leader of a terminal and to its foreground process group."""
    try:
        front = os.tcgetpgrp(master)
    except OSError:
        front = 0
    # 0 means that there is no foreground group; killpg(0) would signal our own.
    for group in {leader, front} - {0}:
        with contextlib.suppress(OSError):
            os.killpg(group, signal.SIGHUP)


def _finish(channel: paramiko.Channel, process: subprocess.Popen[bytes]) -> None:
    code = process.wait()
    try:
        channel.send_exit_status(code if code >= 0 else 128 - code)
        channel.close()
    except (OSError, EOFError):
        pass  # the client is gone
