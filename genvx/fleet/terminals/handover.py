"""Handover passes devices that we hold to a shell in a terminal, which joins their environment.

The terminal itself says nothing reliable: its output is for people, and any exit code may be the
shell's. The far end that holds the devices reports on its own channel when the shell has joined, or
why it could not, and then releases its own hold. Without such a report the shell never ran: a
start-up file there runs something else, and people would sit in a shell that sees all GPUs.
"""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING

from genvx.core.text import printable
from genvx.errors import AgentError, CommandNotFound, GenvxError, HostUnreachable
from genvx.fleet.delivery.bootstrap import never_ran

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.fleet.remotehold import RemoteHold

# The exit code of a terminal whose connection ended, with OpenSSH's client and with ours.
LOST = 255


class Handover:
    """Handover watches, in a thread of its own, whether the shell joins what we hold.

    host: the name of the host. timeout: seconds that the shell may take once `begun` is true.
    give_up: called in another thread when that time is over; it ends the terminal. gave_up: whether
    that has happened.
    """

    def __init__(
        self,
        host: str,
        hold: RemoteHold,
        timeout: float,
        *,
        begun: Callable[[], bool],
        give_up: Callable[[], object],
    ) -> None:
        self._host = host
        self._hold = hold
        self._timeout = timeout
        self._begun = begun
        self._give_up = give_up
        # When the time of the shell began. Before it, ssh may ask a person for a password, which
        # takes as long as it takes.
        self._since = math.inf
        self._error: GenvxError | None = None
        self.gave_up = False
        hold.expect_shell()
        self._thread = threading.Thread(target=self._watch, name="genvx handover", daemon=True)
        self._thread.start()

    def conclude(self, code: int) -> None:
        """Check, after the terminal has ended with this exit code, that a shell had joined.

        Raises:
            HostError: no shell had joined. GenvxError: the far end refused to let it join.
        """
        self._hold.expect_nobody()
        self._since = min(self._since, time.monotonic())
        self._thread.join()
        if isinstance(self._error, CommandNotFound):
            raise self._error.on(self._host)
        if self._error is not None:
            raise self._error
        file = self._hold.unjoined()
        if file is None and not self.gave_up:
            return
        if file is None:
            raise HostUnreachable(
                f"{self._host}: no shell within {self._timeout:g} s; its start-up files may be "
                "slow, and -t gives them more time",
                kind="timeout",
            )
        if code == LOST and not self.gave_up:
            raise HostUnreachable(
                f"{self._host}: the connection of the terminal ended before the shell started"
            )
        raise AgentError(f"{self._host}: {never_ran(printable(file, 100))}")

    def _overdue(self) -> bool:
        if self._since == math.inf and self._begun():
            self._since = time.monotonic()
        return time.monotonic() > self._since + self._timeout

    def _watch(self) -> None:
        try:
            if not self._hold.next_word(math.inf, self._overdue):
                self.gave_up = True
                self._give_up()
                # The far end still reports which start-up file its shell reads; the message to the
                # user names it.
                self._hold.next_word(self._timeout, lambda: False)
        except GenvxError as error:
            self._error = error
