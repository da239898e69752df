"""Running a line in the login shell of a host, without an agent, devices or a terminal.

It is for what has to run before an agent can, such as the installation of a Python.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from genvx.errors import HostLost
from genvx.fleet.remote import writer
from genvx.ssh.deadline import Deadline
from genvx.ssh.ending import close_channel

if TYPE_CHECKING:
    from collections.abc import Callable

    import paramiko

    from genvx.fleet.sshhost import SSHHost

_CHUNK = 65536


def start_line(host: SSHHost, line: str) -> paramiko.Channel:
    """Start a line in the login shell of a host; its stdin is empty.

    Raises:
        HostError: the host cannot be reached in time.
    """
    if host.spec.step is not None:
        line = host.spec.step.line(line)
    with Deadline(host.options.timeout) as deadline:
        channel = host.channel(deadline, lambda channel: channel.exec_command(line))
    channel.shutdown_write()
    return channel


def end_line(host: SSHHost, channel: paramiko.Channel, *, out: int = 1) -> int:
    """Pass what a line prints to our stdout and stderr until it ends; return its exit code.

    out: the descriptor to which its stdout goes.

    Raises:
        HostLost: the connection ended before the line did.
    """
    channel.settimeout(None)
    errors = threading.Thread(target=_copy, args=(channel.recv_stderr, 2), daemon=True)
    errors.start()
    try:
        _copy(channel.recv, out)
        errors.join()
        code = int(channel.recv_exit_status())
    finally:
        close_channel(channel)
    if code < 0:
        raise host.lost() or HostLost("the connection ended, or a signal ended what ran there")
    return code


def _copy(receive: Callable[[int], bytes], descriptor: int) -> None:
    write = writer(descriptor)
    try:
        while data := receive(_CHUNK):
            write(data)
    except EOFError:
        pass  # the connection is lost; the exit code says so
