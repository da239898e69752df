"""The output of a run: its log; and where the run has a terminal, that terminal and its viewers."""

from __future__ import annotations

import os
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Optional

from genvx.local.runs.trimming import Trimmer

if TYPE_CHECKING:
    from typing import Callable

    from genvx.core.runs.run import RunSpec
    from genvx.local.runs.record import RunDirectory
    from genvx.local.runs.terminal import Terminal
    from genvx.local.runs.viewers import Viewers
    from genvx.local.runs.wakeups import Wakeup, Wakeups
    from genvx.local.state.directory import StateDirectory

# Seconds between looks at a log that must not become too long.
_LOOK = 1.0
# The most seconds that viewers have after the end of a run to read what waits for them.
_FAREWELL = 3.0
_SOON = 0.05


class Output:
    """The log of a run, open for the command and for lines of ours.

    Raises:
        OSError: the log cannot be made.
    """

    def __init__(
        self, spec: RunSpec, directory: RunDirectory, wakeups: Wakeups, state: StateDirectory
    ) -> None:
        self._wakeups = wakeups
        self._spec = spec
        self._state = state
        self._viewers: Optional[Viewers] = None
        self._trimmer: Optional[Trimmer] = None
        self.log = directory.create_log()
        self.terminal: Optional[Terminal] = None
        if spec.log_limit is not None:
            self._trimmer = Trimmer(self.log, spec.log_limit)

    @property
    def due(self) -> float:
        """Seconds after which `tend` must be called."""
        viewers = float("inf") if self._viewers is None else self._viewers.due
        return viewers if self._trimmer is None else min(_LOOK, viewers)

    def say(self, line: str) -> None:
        """Append a line of ours; it begins a line, also where the command has not ended its own."""
        with suppress(OSError):
            size = os.fstat(self.log).st_size
            begin = "\n" if size and os.pread(self.log, 1, size - 1) != b"\n" else ""
            os.write(self.log, f"{begin}genvx: {line}\n".encode("utf-8", "replace"))
        if self._viewers is not None:
            self._viewers.feed(f"\r\ngenvx: {line}\r\n".encode("utf-8", "replace"))

    def open(self) -> None:
        """Make a terminal for the command if it is to have one. Raises OSError."""
        if self._spec.tty:
            from genvx.local.runs.terminal import Terminal
            from genvx.local.runs.viewers import Viewers

            if self._viewers is None:
                viewers = Viewers(self._state, self._spec.id, self._wakeups, self.log)
                trouble = viewers.open()
                if trouble:
                    self.say(trouble)
                self._viewers = viewers
            self.terminal = Terminal(self.log, self._viewers.size, self._viewers.feed)
            self._wakeups.watch(self.terminal.descriptor)
            self._viewers.attach(self.terminal)

    def take(self, woken: Wakeup) -> None:
        """Handle what is ready: copy output of the terminal, serve viewers."""
        if self.terminal is not None and self.terminal.descriptor in woken.readable:
            self.terminal.copy()
        if self._viewers is not None:
            self._viewers.take(woken)

    def tend(self) -> None:
        """Free the head of the log if that has become too long; drop viewers that do not read."""
        if self._viewers is not None:
            self._viewers.tend()
        said = "" if self._trimmer is None else self._trimmer.trim()
        if said:
            self.say(said)

    def close(self) -> None:
        """Copy the last output of the terminal and close it, once all processes have ended."""
        terminal, self.terminal = self.terminal, None
        if terminal is not None:
            if self._viewers is not None:
                self._viewers.attach(None)
            self._wakeups.forget(terminal.descriptor)
            terminal.finish()
        self.tend()

    def end(self) -> None:
        """Let viewers read what waits for them and then go, because the end of the run is known."""
        if self._viewers is not None:
            self._viewers.end()

    def linger(self, sleep: Callable[[float], None]) -> None:
        """After `end`, wait a moment until viewers have read everything."""
        if self._viewers is None or not self._viewers.over:
            return
        over = monotonic() + _FAREWELL
        while self._viewers.any_left and monotonic() < over:
            sleep(_SOON)
        self._viewers.close()
