"""Holds and commands of a FakeHost."""

from __future__ import annotations

import io
import subprocess
from typing import TYPE_CHECKING, Any

from genvx.core.command import require_variables, words_of
from genvx.core.leases.hold import BaseHold
from genvx.errors import UnknownEnvironment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from genvx.core.command import Command
    from genvx.core.leases.grant import Grant
    from genvx.core.running import Stream


class FakeHold(BaseHold):
    """FakeHold holds devices of a FakeHost.

    commands: the commands that were started. None is executed; each succeeds at once and writes
    nothing.
    """

    def __init__(
        self,
        host: Any,
        grant: Grant,
        let_go: Callable[[], object],
        note: Callable[[Command], object],
    ) -> None:
        self.host = host
        self.grant = grant
        self.commands: list[Command] = []
        self._note = note
        self._let_go: Callable[[], object] | None = let_go

    def start(
        self,
        command: Command,
        *,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> FakeRunning:
        """Record a command, and return it as one that has ended."""
        words = words_of(command)
        require_variables(env or {})
        self.commands.append(command)
        self._note(command)
        return FakeRunning(words, stdin, stdout, stderr)

    def release(self) -> None:
        """Release the devices. Idempotent."""
        let_go, self._let_go = self._let_go, None
        if let_go is not None:
            try:
                let_go()
            except UnknownEnvironment:
                pass  # released by id before


class FakeRunning:
    """FakeRunning is a command of a FakeHold; it has ended with exit code 0.

    signals: the signals that were sent to it.
    """

    def __init__(self, args: list[str], stdin: Stream, stdout: Stream, stderr: Stream) -> None:
        self.args = args
        self.returncode = 0
        self.signals: list[int] = []
        self.stdin, self.stdout, self.stderr = (
            io.BytesIO() if stream == subprocess.PIPE else None
            for stream in (stdin, stdout, stderr)
        )

    @property
    def exited(self) -> bool:
        """Whether it has ended: yes."""
        return True

    def poll(self) -> int:
        """Return 0."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return 0 at once."""
        return self.returncode

    def communicate(
        self, input: bytes | None = None, timeout: float | None = None
    ) -> tuple[bytes | None, bytes | None]:
        """Return empty output and errors; None for one that is no pipe."""
        out, err = (None if pipe is None else pipe.read() for pipe in (self.stdout, self.stderr))
        return out, err

    def signal(self, number: int) -> None:
        """Record a signal in `signals`."""
        self.signals.append(number)

    def kill(self) -> None:
        """Do nothing: the command has ended."""

    def close(self) -> None:
        """Close the pipes."""
        for pipe in (self.stdin, self.stdout, self.stderr):
            if pipe is not None:
                pipe.close()
