"""paramiko's reader of packets, without a timer thread."""

from __future__ import annotations

import paramiko


class Packetizer(paramiko.packet.Packetizer):
    """Packetizer starts no timer thread per handshake; the deadline ends a handshake instead.

    paramiko's timer would outlive a handshake that fails. hung_up: the server closed the connection
    before its SSH banner. dismissed: the server has said that it ends the connection. heard: the
    number of messages received.
    """

    hung_up = False
    dismissed = False
    heard = 0

    def read_message(self) -> tuple[int, paramiko.Message]:
        """Read a message; count it, and note whether it ends the connection."""
        message: tuple[int, paramiko.Message] = super().read_message()
        self.heard += 1
        self.dismissed = self.dismissed or message[0] == paramiko.common.MSG_DISCONNECT
        if message[0] == paramiko.common.MSG_DEBUG:
            # sshd sends one at each login. paramiko makes its text printable, byte by byte, for a
            # log that nobody reads.
            return paramiko.common.MSG_IGNORE, message[1]
        return message

    def readline(self, timeout: float) -> str:
        """Read a line of the banner; note whether the server hung up instead."""
        try:
            line: str = super().readline(timeout)
        except (EOFError, ConnectionResetError):
            self.hung_up = True
            raise
        return line

    def start_handshake(self, timeout: float) -> None:
        """Start no timer."""

    def complete_handshake(self) -> None:
        """Stop no timer."""
