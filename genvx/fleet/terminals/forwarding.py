"""Signals that we get, passed on to commands on other hosts."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING

from genvx.errors import GenvxError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import FrameType

    from genvx.core.leases.grant import Grant
    from genvx.fleet.sshhost import SSHHost

_FORWARDED = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)


def signal_there(host: SSHHost, grant: Grant, name: str) -> None:
    """Send a signal to the command of a grant, if it still runs."""
    try:
        host.signal(grant, name)
    except GenvxError:
        pass  # the command or the connection has ended: there is nothing to signal


@contextlib.contextmanager
def forwarding(grants: Mapping[SSHHost, Grant]) -> Iterator[None]:
    """Send the signals that we get to the commands of these grants; call it in the main thread.

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
        # In a thread of its own: this one passes output on, and a host may take long to answer.
        name = signal.Signals(number).name.removeprefix("SIG")
        for host, grant in grants.items():
            threading.Thread(target=signal_there, args=(host, grant, name), daemon=True).start()

    before = {}
    # A signal that is ignored stays so: under nohup, SIGHUP must not reach the command either.
    for number in _FORWARDED:
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, forward)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
