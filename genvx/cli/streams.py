"""Passing streams and signals between our terminal and a command on a host."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

from genvx.errors import GenvxError

if TYPE_CHECKING:
    from types import FrameType

    from genvx.fleet.remote import RemoteCommand
    from genvx.fleet.ssh import SSHHost

_FORWARDED = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)


def stream(host: SSHHost, command: RemoteCommand) -> int:
    """Run a started command to its end; return its exit code.

    Signals go to the command. A second Ctrl-C cuts the connection, and its host ends the command.
    """
    environment = command.grant().environment
    interrupts = 0

    def send(name: str) -> None:
        try:
            host.signal(environment, name)
        except GenvxError:
            pass  # the command has ended, or the connection has: there is nobody to signal

    def forward(number: int, frame: FrameType | None) -> None:
        nonlocal interrupts
        if number == signal.SIGINT:
            interrupts += 1
            if interrupts > 1:
                raise KeyboardInterrupt
        # In a thread of its own: this one may be inside paramiko, holding a lock that the call
        # needs.
        name = signal.Signals(number).name.removeprefix("SIG")
        threading.Thread(target=send, args=(name,), daemon=True).start()

    before = {}
    for number in _FORWARDED:
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, forward)
    try:
        return command.communicate()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
