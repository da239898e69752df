"""The packets of a connection: what paramiko reads, counted and remembered."""

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
        message: tuple[int, paramiko.Message] = super().read_message()
        self.heard += 1
        self.dismissed = self.dismissed or message[0] == paramiko.common.MSG_DISCONNECT
        return message

    def readline(self, timeout: float) -> str:
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
