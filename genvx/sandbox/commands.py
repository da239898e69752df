"""Commands and shells of the small server: with a terminal, or with pipes."""

from __future__ import annotations

import fcntl
import os
import pty
import socket
import struct
import subprocess
import sys
import termios
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from genvx.sandbox.pumps import hang_up_terminal, pump_in, pump_out

if TYPE_CHECKING:
    import paramiko


@dataclass
class Session:
    """One channel, before and while its command runs.

    size: of the terminal that was asked for; None for none. master: the terminal; -1 for none.
    lock: held while another thread uses `master`, which must not be closed meanwhile.
    """

    variables: dict[str, str] = field(default_factory=dict)
    size: tuple[int, int] | None = None
    master: int = -1
    lock: threading.Lock = field(default_factory=threading.Lock)


def set_size(master: int, width: int, height: int) -> None:
    """Set the size of a terminal, in characters."""
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))


# Makes the terminal on stdin the controlling one (TIOCSCTTY), without which Ctrl-C and job control
# do not work, then becomes the shell, whose argv[0] is "-bash" or the like for a login shell.
_TAKE_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.argv[1], sys.argv[2:])"
)


def run_with_terminal(
    channel: paramiko.Channel, session: Session, argv: list[str], options: dict[str, Any]
) -> None:
    """Run a command in a terminal of its own until it ends. options: for subprocess.Popen."""
    master, slave = pty.openpty()
    session.master = master
    assert session.size is not None
    set_size(master, *session.size)
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
                hang_up_terminal(session.master, process.pid)

    feeder = threading.Thread(target=pump_in, args=(channel, master, hang_up), daemon=True)
    feeder.start()
    pump_out(master, channel.sendall)
    with session.lock:
        session.master = -1
    _finish(channel, process)
    # The feeder may be writing to the terminal; after a close, another terminal could have its
    # number.
    feeder.join()
    os.close(master)


def run_with_pipes(
    channel: paramiko.Channel, session: Session, argv: list[str], options: dict[str, Any]
) -> None:
    """Run a command without a terminal until it ends. options: for subprocess.Popen."""
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
        target=pump_in, args=(channel, stdin, hang_up, process.stdin), daemon=True
    ).start()
    errors = threading.Thread(
        target=pump_out, args=(process.stderr.fileno(), channel.sendall_stderr), daemon=True
    )
    errors.start()
    pump_out(out_ours.fileno(), channel.sendall)
    errors.join()
    _finish(channel, process)
    process.stderr.close()


def _finish(channel: paramiko.Channel, process: subprocess.Popen[bytes]) -> None:
    code = process.wait()
    try:
        channel.send_exit_status(code if code >= 0 else 128 - code)
        channel.close()
    except (OSError, EOFError):
        pass  # the client is gone
