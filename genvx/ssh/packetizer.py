"""paramiko's reader of packets, without a timer thread."""

from __future__ import annotations

import paramiko


class Packetizer(paramiko.packet.Packetizer):
    """Packetizer starts no timer thread per handshake; the deadline ends a handshake instead.

    paramiko's timer would outlive a handshake that fails. hung_up: the server closed the connection
    before its SSH banner. heard: the number of messages received.
    """

    hung_up = False
    heard = 0

    def read_message(self) -> tuple[int, paramiko.Message]:
        """Read a message, and count it."""
        message: tuple[int, paramiko.Message] = super().read_message()
        self.heard += 1
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
