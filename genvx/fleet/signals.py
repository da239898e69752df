"""Signals over SSH: RFC 4254 section 6.9, for which paramiko has no call."""

from __future__ import annotations

from typing import Any

import paramiko
from paramiko.common import cMSG_CHANNEL_REQUEST


def send(channel: Any, name: str) -> None:
    """Ask the server to send a signal to what runs on a channel. Servers may ignore it, and
    say nothing.
    """
    message = paramiko.Message()
    message.add_byte(cMSG_CHANNEL_REQUEST)
    message.add_int(channel.remote_chanid)
    message.add_string("signal")
    message.add_boolean(False)
    message.add_string(name)
    try:
        channel.transport._send_user_message(message)
    except (EOFError, OSError, paramiko.SSHException):
        pass  # the connection is gone, and the far end ends its command when it notices
