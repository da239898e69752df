"""Passing streams and signals between our terminal and a command on a host."""

from __future__ import annotations

import signal
from types import FrameType

from genvx.fleet.remote import RemoteCommand

_FORWARDED = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)


def stream(command: RemoteCommand) -> int:
    """Run a started command to its end; return its exit code.

    Signals go to the command. A second Ctrl-C cuts the connection, and its host ends the command.
    """
    interrupts = 0

    def forward(number: int, frame: FrameType | None) -> None:
        nonlocal interrupts
        if number == signal.SIGINT:
            interrupts += 1
            if interrupts > 1:
                raise KeyboardInterrupt
        command.send_signal(signal.Signals(number).name.removeprefix("SIG"))

    before = {}
    for number in _FORWARDED:
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, forward)
    try:
        return command.communicate()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
