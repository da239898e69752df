"""Passes bytes between our terminal and a channel."""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket

# The most typed bytes that wait for the far end; beyond that the terminal is not read.
_MOST_TYPED = 65536


def pump(channel: Any, changed: socket.socket) -> None:
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
