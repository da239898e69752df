"""paramiko's connection and its channels, which the main thread may use in spite of Ctrl-C."""

from __future__ import annotations

import array
from typing import Any

import paramiko

from genvx.ssh.apart import apart
from genvx.ssh.ending import close_channel


def _unread(pipe: Any, data: bytes) -> None:
    """Give back what was read, for the next who reads."""
    if data:
        with pipe._lock:
            pipe._buffer[:0] = array.array("B", data)
            if pipe._event is not None:
                pipe._event.set()
            pipe._cv.notify_all()


# A read may wait for ever, and is left to itself after Ctrl-C: what it still reads, it gives back.
_reads = apart(moment=0.0, undo=lambda data, channel, size: _unread(channel.in_buffer, data))
_reads_errors = apart(
    moment=0.0, undo=lambda data, channel, size: _unread(channel.in_stderr_buffer, data)
)


class Channel(paramiko.Channel):
    """Channel is a channel of a Transport.

    What takes a lock that the thread of the transport takes as well is done apart.
    """

    recv = _reads(paramiko.Channel.recv)
    recv_stderr = _reads_errors(paramiko.Channel.recv_stderr)
    recv_exit_status = apart(moment=0.0)(paramiko.Channel.recv_exit_status)
    recv_ready = apart()(paramiko.Channel.recv_ready)
    recv_stderr_ready = apart()(paramiko.Channel.recv_stderr_ready)
    send = apart()(paramiko.Channel.send)
    # As one act: it is cheaper, and whoever is interrupted closes the channel, which ends it.
    sendall = apart()(paramiko.Channel.sendall)
    send_ready = apart()(paramiko.Channel.send_ready)
    shutdown = apart()(paramiko.Channel.shutdown)
    close = apart()(paramiko.Channel.close)
    exec_command = apart()(paramiko.Channel.exec_command)
    get_pty = apart()(paramiko.Channel.get_pty)
    resize_pty = apart()(paramiko.Channel.resize_pty)
    fileno = apart()(paramiko.Channel.fileno)

    @apart(moment=0.0)
    def status_within(self, seconds: float) -> bool:
        """Wait for the exit code; return whether it is there, or never comes."""
        return self.status_event.wait(seconds)


def _never_had(channel: paramiko.Channel, *asked: Any) -> None:
    close_channel(channel)


class Transport(paramiko.Transport):
    """Transport is a connection whose channels are Channels."""

    @apart(undo=_never_had)
    def open_channel(self, *args: Any, **options: Any) -> paramiko.Channel:
        """Open a channel."""
        channel: paramiko.Channel = super().open_channel(*args, **options)
        # paramiko has no hook for the class of channels.
        channel.__class__ = Channel
        return channel

    global_request = apart()(paramiko.Transport.global_request)
