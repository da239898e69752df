"""Handing devices that we hold over to a shell in a terminal, which joins their environment.

The terminal tells us nothing: what it prints is for the person, and any exit code may be the
shell's own. The far end that holds the devices tells us, on its own connection, once the shell has
joined, or why it could not; then it lets go. If it never does, the call was never run: a start-up
file there runs something else instead, and the person would sit in a shell that sees all GPUs.
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

# What a terminal's end is if its connection ended, with OpenSSH's client and with ours.
LOST = 255


class Handover:
    """Watches from a thread of its own whether the shell joins what we hold.

    host: its name. timeout: seconds that it may take from the moment in which `begun` is true.
    give_up: called after that, from another thread; ends the terminal.
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
        self._since = math.inf
        self._error: GenvxError | None = None
        self.gave_up = False
        hold.expect_shell()
        self._thread = threading.Thread(target=self._watch, name="genvx handover", daemon=True)
        self._thread.start()

    def conclude(self, code: int) -> None:
        """The terminal has ended, with this exit code.

        Raises:
            HostError: no shell had joined. GenvxError: why the far end refused to join.
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
                f"{self._host}: the connection of the terminal ended before a shell was there"
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
                self._hold.next_word(self._timeout, lambda: False)
        except GenvxError as error:
            self._error = error
