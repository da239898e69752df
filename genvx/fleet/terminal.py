"""The activated shell of a remote host, in the terminal that we are in.

OpenSSH's client has the terminal whenever there is one: nothing of ours stands between it and the
keys, so that everything works as people know it. Where there is none, a loop over Fabric's
connection does.

Acquiring and becoming the shell are one step over there. A shell that could not be started is told
by exit code 75 and a refusal that waits to be collected; any other code, and a 75 without refusal,
is the shell's own.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

from genvx.core.protocol import REFUSED, Call
from genvx.fleet import sshconfig
from genvx.fleet.bootstrap import agent_command
from genvx.fleet.deadline import Deadline
from genvx.fleet.remote import close_channel, new_token

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import paramiko

    from genvx.fleet.ssh import SSHHost

# Becomes ssh, but hangs up when genvx is killed: the shell's host must notice, and free its
# devices. It is a program of its own because a fork of a process with threads must not run Python.
_HANG_UP_WITH_US = """\
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGHUP)
for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
    signal.signal(number, signal.SIG_DFL)
if os.getppid() != int(sys.argv[1]):
    sys.exit(129)
os.execvp(sys.argv[2], sys.argv[2:])
"""


def open_shell(
    host: SSHHost,
    request: Mapping[str, Any],
    *,
    prompt: str | None,
    command: list[str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> int:
    """Open a shell there (or run `command`) that holds the devices, in our terminal; return its
    exit code.

    request: what `SSHHost.request` makes of requirements, or the environment to join. prompt: the
    host's name, as the shell's prompt is to say it; None leaves the prompt alone.

    For the main thread of a program whose stdin is a terminal.

    Raises:
        NoCapacity: they were taken meanwhile. HostError: the host could not be asked.
    """
    environ = os.environ if environ is None else environ
    arguments = {**request, "prompt": prompt}
    if command is not None:
        arguments["argv"] = command
    call = Call("shell", new_token(), arguments)
    host.prepare_terminal()
    ssh = shutil.which("ssh")
    # OpenSSH would ask again for what we were given.
    if ssh is None or environ.get("GENVX_TERMINAL") == "builtin" or host.needed_secret:
        code = _through_fabric(host, call, environ)
    else:
        code = _through_openssh(ssh, host, call)
    if code == REFUSED:
        refusal = host.refusal(call.token)
        if refusal is not None:
            raise refusal
    return code


# Through OpenSSH's client


def ssh_command(ssh: str, host: SSHHost, remote: str) -> list[str]:
    """OpenSSH's client with the same settings that the fan-out uses."""
    options = host.options
    spec = host.spec
    checking = "accept-new" if options.accept_new_host_keys else "yes"
    if host.session.settings(spec).accept_new:
        checking = "accept-new"
    return [
        ssh,
        "-tt",
        *("-o", f"StrictHostKeyChecking={checking}"),
        *("-o", "LogLevel=ERROR"),
        *("-o", f"ConnectTimeout={max(1, round(options.timeout))}"),
        *sshconfig.arguments(spec, options.config),
        "--",
        spec.address,
        remote,
    ]


def _through_openssh(ssh: str, host: SSHHost, call: Call) -> int:
    command = ssh_command(ssh, host, agent_command(host.spec, call.token, call.to_word()))
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-I", "-S", "-c", _HANG_UP_WITH_US, str(os.getpid()), *command],
        os.environ,
    )
    while True:
        try:
            _, status = os.waitpid(pid, os.WUNTRACED)
        except KeyboardInterrupt:
            continue  # Ctrl-C before ssh has the terminal: it gets it too, and ends
        if os.WIFSTOPPED(status):
            # ~^Z in ssh stops ssh alone; whoever waits for us must see that we stop, too.
            os.kill(os.getpid(), signal.SIGSTOP)
            os.kill(pid, signal.SIGCONT)
            continue
        if os.WIFSIGNALED(status):
            return 128 + os.WTERMSIG(status)
        return os.WEXITSTATUS(status)


# Through Fabric's connection


def _through_fabric(host: SSHHost, call: Call, environ: Mapping[str, str]) -> int:
    def ask(channel: paramiko.Channel) -> None:
        columns, lines = os.get_terminal_size(0)
        channel.get_pty(environ.get("TERM", "vt100"), columns, lines)
        channel.exec_command(agent_command(host.spec, call.token, call.to_word()))

    with Deadline(host.options.timeout) as deadline:
        channel = host.channel(deadline, ask)
    try:
        with _raw_terminal(), _size_changes() as changed:
            _pump(channel, changed)
        code = int(channel.recv_exit_status())
    finally:
        close_channel(channel)
    return code if code >= 0 else 255


def _pump(channel: Any, changed: socket.socket) -> None:
    """Pass bytes between the terminal and the channel until the far end closes it."""
    channel.settimeout(0.0)
    sources = [channel, 0, changed]
    to_send = b""
    while True:
        writable = [channel] if to_send and channel.send_ready() else []
        # A full window is looked at again soon: paramiko tells of no event when it opens.
        wait = 0.02 if to_send and not writable else None
        ready, _, _ = select.select(sources, [], [], 0 if writable else wait)
        if writable:
            to_send = to_send[channel.send(to_send) :]
        if changed in ready:
            changed.recv(4096)
            columns, lines = os.get_terminal_size(0)
            channel.resize_pty(columns, lines)
        if channel in ready:
            while channel.recv_ready():
                _write_all(1, channel.recv(65536))
            if channel.eof_received or channel.closed:
                return
        if 0 in ready and len(to_send) < 65536:
            data = os.read(0, 65536)
            if data:
                to_send += data
            else:
                sources.remove(0)
                channel.shutdown_write()


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


@contextlib.contextmanager
def _raw_terminal() -> Iterator[None]:
    """Every key goes to the far end, Ctrl-C and Ctrl-\\ and Ctrl-Z too; the terminal is
    restored at the end.
    """
    import termios
    import tty

    before = termios.tcgetattr(0)
    try:
        tty.setraw(0)
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _size_changes() -> Iterator[socket.socket]:
    """A socket that becomes readable when the terminal's size changes."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    wakeup = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    before = signal.signal(signal.SIGWINCH, lambda number, frame: None)
    try:
        yield ours
    finally:
        signal.signal(signal.SIGWINCH, before)
        signal.set_wakeup_fd(wakeup)
        ours.close()
        theirs.close()
