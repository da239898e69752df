"""The activated shell of a remote host, in our terminal.

OpenSSH's client has the terminal where it is installed: nothing of ours is between it and the keys,
so everything works as people know it. Otherwise a loop passes bytes over Fabric's connection.

We hold the devices already, and the shell joins their environment. So a host that refuses never
reads a key, and `handover.py` finds out whether the shell ran.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import sys
import termios
import threading
import tty
from typing import TYPE_CHECKING, Any

from genvx.core.wire.asking import call_of
from genvx.core.wire.job import Job
from genvx.core.wire.ongoing import OpenShell
from genvx.errors import HostError
from genvx.fleet.delivery.bootstrap import agent_command
from genvx.fleet.handover import LOST, Handover
from genvx.ssh import sshconfig
from genvx.ssh.channels import close_channel
from genvx.ssh.deadline import Deadline

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import paramiko

    from genvx.core.wire.call import Call
    from genvx.fleet.remotehold import RemoteHold
    from genvx.fleet.sshhost import SSHHost

# Undoes what full-screen programs do to a terminal (the scrolling region, the hidden cursor,
# colours, the alternate screen, the mouse, bracketed paste) and moves to the last line.
_PLAIN_SCREEN = (
    "\x1b[r\x1b[?25h\x1b[0m\x1b[?1047l"
    + "".join(f"\x1b[?{mode}l" for mode in (1000, 1002, 1003, 1006, 2004))
    + "\x1b[999;1H"
)

# Becomes ssh, with a signal for the death of its parent: when genvx is killed, ssh must end, or the
# shell would keep its devices. PR_SET_PDEATHSIG (1) survives execve. It must be set in the child,
# and a fork of a process with threads must not run Python, so this is a program of its own. Its
# parent may have died before the prctl: hence the check afterwards.
_HANG_UP_WITH_US = """\
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGHUP)
for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
    signal.signal(number, signal.SIG_DFL)
if os.getppid() != int(sys.argv[1]):
    sys.exit(129)
os.execvp(sys.argv[2], sys.argv[2:])
"""


# The most typed bytes that wait for the far end; beyond that the terminal is not read.
_MOST_TYPED = 65536

# The exit code of ssh when its connection ends. A shell may exit with it as well.
_SSH_FAILED = 255


def open_shell(
    host: SSHHost,
    hold: RemoteHold,
    *,
    prompt: str | None,
    command: list[str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> int:
    """Open a shell on the host in our terminal, or run `command`; return its exit code.

    It takes over the devices that `hold` holds. Call it in the main thread of a program whose stdin
    is a terminal.

    prompt: the name of the host in the shell's prompt; None leaves the prompt unchanged.

    Raises:
        HostError: the shell never ran, perhaps because of a start-up file on the host.
        InvalidInput: the host does not have the command.
    """
    environ = os.environ if environ is None else environ
    job = None if command is None else Job(tuple(command))
    call = call_of(OpenShell(hold.environment_id, prompt, job), hold.token)
    host.require_terminal()
    ssh = shutil.which("ssh")
    # After a password or a passphrase, OpenSSH's client would ask for it again.
    if ssh is None or environ.get("GENVX_TERMINAL") == "builtin" or host.needed_secret:
        code = _through_fabric(host, hold, call, environ)
    else:
        code = _through_openssh(ssh, host, hold, call)
    if code == _SSH_FAILED and (lost := host.lost()) is not None:
        raise lost
    return code


def _concluded(handover: Handover, code: int) -> int:
    """Return the exit code of a shell that ran; raise why it did not run."""
    if handover.gave_up:
        # What ran instead of the shell, such as tmux, was ended and could not restore the screen.
        dumb = os.environ.get("TERM", "dumb") == "dumb"
        print("" if dumb else _PLAIN_SCREEN, file=sys.stderr, flush=True)
    handover.conclude(code)
    return code


# Through OpenSSH's client


def ssh_command(ssh: str, host: SSHHost, remote: str) -> list[str]:
    """Return the command line of OpenSSH's client, with the same settings as our connections."""
    options = host.options
    spec = host.spec
    checking = "accept-new" if options.accept_new_host_keys else "yes"
    if host.session.settings(spec).accept_new:
        checking = "accept-new"
    # StrictHostKeyChecking is always set: we have accepted the host's key, so ssh need not ask
    # again; a question would go to a terminal on which people expect their shell.
    return [
        ssh,
        "-tt",
        *("-o", f"StrictHostKeyChecking={checking}"),
        *("-o", "LogLevel=ERROR"),
        *("-o", f"ConnectTimeout={max(1, round(options.timeout))}"),
        *sshconfig.terminal_options(host.session.settings(spec), options.host_lost_after),
        *sshconfig.arguments(spec, options.config),
        "--",
        spec.address,
        remote,
    ]


class _Client:
    """OpenSSH's client, as a process."""

    def __init__(self, command: list[str]) -> None:
        self._pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", "-c", _HANG_UP_WITH_US, str(os.getpid()), *command],
            os.environ,
        )
        self._lock = threading.Lock()
        self._ended = False
        self.interrupted = False

    def end(self) -> None:
        """End the client, from another thread; it restores the terminal by itself."""
        with self._lock:
            # A stopped process handles SIGTERM only once it continues.
            if not self._ended:
                os.kill(self._pid, signal.SIGTERM)
                os.kill(self._pid, signal.SIGCONT)

    def wait(self) -> int:
        """Wait for its end; return its exit code."""
        while True:
            try:
                os.waitid(os.P_PID, self._pid, os.WEXITED | os.WSTOPPED | os.WNOWAIT)
            except KeyboardInterrupt:
                # Ctrl-C before the terminal is raw: ssh gets it as well, and ends.
                self.interrupted = True
                continue
            with self._lock:
                # WNOWAIT above left it a zombie, so until this line no other process can have its
                # pid, and `end` cannot hit a stranger.
                _, status = os.waitpid(self._pid, os.WUNTRACED)
                self._ended = not os.WIFSTOPPED(status)
            if not self._ended:
                # ~^Z in ssh stops ssh alone. The shell that waits for us must see that we stop, or
                # it would not show its prompt.
                os.kill(os.getpid(), signal.SIGSTOP)
                os.kill(self._pid, signal.SIGCONT)
                continue
            if os.WIFSIGNALED(status):
                return 128 + os.WTERMSIG(status)
            return os.WEXITSTATUS(status)


def _through_openssh(ssh: str, host: SSHHost, hold: RemoteHold, call: Call) -> int:
    command = ssh_command(ssh, host, agent_command(host.spec, call.token, call.to_word()))
    with _restored_terminal():
        client = _Client(command)
        # The timeout counts only from raw mode: before it, ssh may ask a person for a secret.
        timeout = host.options.timeout
        handover = Handover(host.name, hold, timeout, begun=_is_raw, give_up=client.end)
        code = client.wait()
    try:
        return _concluded(handover, code)
    except HostError:
        if client.interrupted:
            raise KeyboardInterrupt from None
        raise


def _is_raw() -> bool:
    """Return whether our terminal is in raw mode, as it is once ssh has a session."""
    try:
        return not termios.tcgetattr(0)[3] & termios.ICANON
    except termios.error:
        return True


# Through Fabric's connection


def _through_fabric(host: SSHHost, hold: RemoteHold, call: Call, environ: Mapping[str, str]) -> int:
    def ask(channel: paramiko.Channel) -> None:
        columns, lines = os.get_terminal_size(0)
        channel.get_pty(environ.get("TERM", "vt100"), columns, lines)
        channel.exec_command(agent_command(host.spec, call.token, call.to_word()))

    with Deadline(host.options.timeout) as deadline:
        channel = host.channel(deadline, ask)
    try:
        with _restored_terminal(), _size_changes() as changed:
            # tty.setraw's default, TCSAFLUSH, discards what was typed ahead; TCSADRAIN keeps it.
            tty.setraw(0, termios.TCSADRAIN)
            handover = Handover(
                host.name,
                hold,
                host.options.timeout,
                begun=lambda: True,
                give_up=lambda: close_channel(channel),
            )
            with contextlib.suppress(
                EOFError
            ):  # the connection is lost; there is no exit code then
                _pump(channel, changed)
        code = int(channel.recv_exit_status())
    finally:
        close_channel(channel)
    return _concluded(handover, code if code >= 0 else LOST)


def _pump(channel: Any, changed: socket.socket) -> None:
    """Pass bytes between the terminal and the channel until the far end closes it."""
    channel.settimeout(0.0)
    typing = True
    to_send = b""
    while True:
        writable = bool(to_send) and channel.send_ready()
        # With a full window, look again soon: paramiko has no descriptor that says it has opened.
        wait = 0.02 if to_send else None
        sources = [channel, changed, *([0] if typing and len(to_send) < _MOST_TYPED else [])]
        ready = _readable(sources, 0.0 if writable else wait)
        if writable:
            to_send = to_send[channel.send(to_send) :]
        if changed in ready:
            changed.recv(4096)
            columns, lines = os.get_terminal_size(0)
            channel.resize_pty(columns, lines)
        # Emptied before its end is checked: output that came just before the end would be lost.
        if channel in ready:
            while channel.recv_ready():
                _write_all(1, channel.recv(65536))
            if channel.eof_received or channel.closed:
                return
        if 0 in ready:
            data = os.read(0, _MOST_TYPED)
            if data:
                to_send += data
            else:
                typing = False
                channel.shutdown_write()


def _readable(sources: list[Any], seconds: float | None) -> list[Any]:
    """Wait until a source has bytes to read or has ended, or `seconds` are over; return those.

    poll() instead of select(), which takes no descriptor above 1,023. A source that is not wanted
    must be left out: poll() reports a hang-up even with an empty event mask.
    """
    poll = select.poll()
    numbered = {each if isinstance(each, int) else each.fileno(): each for each in sources}
    for number in numbered:
        poll.register(number, select.POLLIN)
    found = poll.poll(None if seconds is None else seconds * 1000)
    return [numbered[number] for number, _ in found]


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


@contextlib.contextmanager
def _restored_terminal() -> Iterator[None]:
    """Restore the terminal's settings at the end of the block, whatever happens."""
    before = termios.tcgetattr(0)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _size_changes() -> Iterator[socket.socket]:
    """Yield a socket that becomes readable when the size of the terminal changes."""
    # A wake-up descriptor instead of a handler that sends the size: the handler runs between any
    # two instructions, also where paramiko holds a lock that the message would need.
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    wakeup = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    # The wake-up works only for signals with a handler in Python; by default SIGWINCH is ignored.
    before = signal.signal(signal.SIGWINCH, lambda number, frame: None)
    try:
        yield ours
    finally:
        signal.signal(signal.SIGWINCH, before)
        signal.set_wakeup_fd(wakeup)
        ours.close()
        theirs.close()
