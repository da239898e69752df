"""TensorBoard inside of a run, for as long as its tunnel is open."""

from __future__ import annotations

import subprocess
import threading
from typing import IO, TYPE_CHECKING, Any

from genvx.core.block import Block
from genvx.core.text import printable
from genvx.errors import CommandNotFound, HostError, InvalidInput

if TYPE_CHECKING:
    from genvx.fleet.detaching.run import Run

_LONGEST = 300


class TensorBoard(Block):
    """TensorBoard is a process in the environment of a run; it ends at the end of the block, or
    with our connection.

    port: of the host's loopback, where it listens.
    """

    def __init__(self, run: Run, logs: str) -> None:
        """Start it.

        run: has a host over SSH. logs: the directory that it reads, from that of the run.

        Raises:
            InvalidInput: it is not installed there, or the run cannot be entered. HostError: the
            host could not be asked.
        """
        self._run = run
        host: Any = run.host
        self.port: int = host.free_port()
        self._words = ["tensorboard", "--logdir", logs, "--host", "127.0.0.1"]
        self._words += ["--port", str(self.port)]
        self._start()

    @property
    def over(self) -> str | None:
        """How it has ended, in words; "" if that was with its connection; None while it runs."""
        try:
            code = self._running.poll()
        except HostError:
            return ""
        if code is None:
            return None
        return f"exit code {code}" + (f": {printable(self._last, _LONGEST)}" if self._last else "")

    def restart(self) -> None:
        """Start it again, on the same port, after its connection has ended; raises as before."""
        self._leave()
        self._start()

    def _start(self) -> None:
        self._last = ""
        inside = self._run.enter(self._words, None)
        try:
            self._running = inside.start(
                self._words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
        except CommandNotFound:
            raise InvalidInput(
                f"run {self._run.id} on {self._run.host.name} has no tensorboard; install it in "
                "the Python environment of the run"
            ) from None
        errors = self._running.stderr
        assert errors is not None, "a pipe"
        threading.Thread(target=self._read, args=(errors,), daemon=True).start()

    def _leave(self) -> None:
        self._running.kill()

    def _read(self, errors: IO[bytes]) -> None:
        with errors:
            for line in errors:
                self._last = line.decode("utf-8", "replace").strip() or self._last
