"""The output of a run: its log, and the terminal from which it comes, if the run has one."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Optional

from genvx.local.runs.trimming import Trimmer

if TYPE_CHECKING:
    from genvx.core.runs.run import RunSpec
    from genvx.local.runs.record import RunDirectory
    from genvx.local.runs.terminal import Terminal
    from genvx.local.runs.wakeups import Wakeup, Wakeups

# Seconds between looks at a log that must not become too long.
_LOOK = 1.0


class Output:
    """The log of a run, open for the command and for lines of ours.

    Raises:
        OSError: the log cannot be made.
    """

    def __init__(self, spec: RunSpec, directory: RunDirectory, wakeups: Wakeups) -> None:
        self._wakeups = wakeups
        self._tty = spec.tty
        self._trimmer: Optional[Trimmer] = None
        self.log = directory.create_log()
        self.terminal: Optional[Terminal] = None
        if spec.log_limit is not None:
            self._trimmer = Trimmer(self.log, spec.log_limit)

    @property
    def due(self) -> float:
        """Seconds after which `tend` must be called."""
        return float("inf") if self._trimmer is None else _LOOK

    def say(self, line: str) -> None:
        """Append a line of ours; it begins a line, also where the command has not ended its own."""
        with suppress(OSError):
            size = os.fstat(self.log).st_size
            begin = "\n" if size and os.pread(self.log, 1, size - 1) != b"\n" else ""
            os.write(self.log, f"{begin}genvx: {line}\n".encode("utf-8", "replace"))

    def open(self) -> None:
        """Make a terminal for the command if it is to have one. Raises OSError."""
        if self._tty:
            from genvx.local.runs.terminal import Terminal

            self.terminal = Terminal(self.log)
            self._wakeups.watch(self.terminal.descriptor)

    def take(self, woken: Wakeup) -> None:
        """Copy what the terminal has, if it was that which woke us."""
        if self.terminal is not None and self.terminal.descriptor in woken.readable:
            self.terminal.copy()

    def tend(self) -> None:
        """Free the head of the log if that has become too long."""
        said = "" if self._trimmer is None else self._trimmer.trim()
        if said:
            self.say(said)

    def close(self) -> None:
        """Copy the rest of what the terminal has, once all processes have ended."""
        terminal, self.terminal = self.terminal, None
        if terminal is not None:
            self._wakeups.forget(terminal.descriptor)
            terminal.finish()
        self.tend()
