"""Passing streams and signals between our terminal and a command on a host."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING

from genvx.errors import GenvxError
from genvx.fleet.stdin import not_stopped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import FrameType

    from genvx.core.grant import Grant
    from genvx.fleet.remotehold import Started
    from genvx.fleet.sshhost import SSHHost

_FORWARDED = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)


def stream(host: SSHHost, command: Started) -> int:
    """Run a started command to its end; return its exit code.

    Signals go to the command. A second Ctrl-C cuts the connection, and its host ends the command.
    """
    with forwarding({host: command.grant()}), not_stopped():
        return command.communicate()


def signal_there(host: SSHHost, grant: Grant, name: str) -> None:
    """Send a signal to the command of a grant, if it still runs."""
    try:
        host.signal(grant, name)
    except GenvxError:
        pass  # the command has ended, or the connection has: there is nobody to signal


@contextlib.contextmanager
def forwarding(grants: Mapping[SSHHost, Grant]) -> Iterator[None]:
    """Send the signals that we get to the commands of these grants.

    Raises:
        KeyboardInterrupt: on a second Ctrl-C.
    """
    interrupts = 0

    def forward(number: int, frame: FrameType | None) -> None:
        nonlocal interrupts
        if number == signal.SIGINT:
            interrupts += 1
            if interrupts > 1:
                raise KeyboardInterrupt
        # In a thread of its own: this one may be inside paramiko, holding a lock that the call
        # needs.
        name = signal.Signals(number).name.removeprefix("SIG")
        for host, grant in grants.items():
            threading.Thread(target=signal_there, args=(host, grant, name), daemon=True).start()

    before = {}
    for number in _FORWARDED:
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, forward)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
