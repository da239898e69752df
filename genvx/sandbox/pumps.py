"""Bytes between a channel of SSH and a command, and the end of a command whose client is gone."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import paramiko


def pump_out(source: int, send: Any) -> None:
    """Send what a command writes, until it has ended or the client is gone."""
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


def pump_in(
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


def hang_up_terminal(master: int, leader: int) -> None:
    """Send SIGHUP to the session leader of a terminal and to its foreground process group."""
    try:
        front = os.tcgetpgrp(master)
    except OSError:
        front = 0
    # 0 means that there is no foreground group; killpg(0) would signal our own.
    for group in {leader, front} - {0}:
        with contextlib.suppress(OSError):
            os.killpg(group, signal.SIGHUP)
