"""A worker as its executor sees it: the process, its devices, and the call that it has."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import subprocess
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from genvx.core.command import SIGNALLED
from genvx.core.text import printable
from genvx.errors import GenvxError, ProtocolError, WorkerDied
from genvx.fleet.executing.frames import ALIVE, END, WANTED, FrameReader, frame

if TYPE_CHECKING:
    from collections.abc import Iterable

    from genvx.core.running import Running
    from genvx.fleet.executing.calls import Call
    from genvx.fleet.executing.frames import Frame
    from genvx.fleet.host import Hold, Host

# Seconds for an exit code to come after the end of a worker's answers, and for processes to end.
_SOON = 1.0
_ENDING = 15.0
_MOST_AT_ONCE = 1 << 20
# Bytes in a pipe to us or from us: 64 KiB need many more turns for large arguments.
_PIPE = 1 << 20


class Member:
    """Member is a worker. Its descriptors do not block.

    python: the path of its Python. silence: the seconds without a word of ours after which it ends;
    None for ever. read_before: what it has said already.
    """

    def __init__(
        self,
        host: Host,
        hold: Hold,
        running: Running,
        python: str,
        silence: float | None,
        read_before: bytes,
    ) -> None:
        self.host = host
        self.hold = hold
        self.python = python
        self.call: Call | None = None
        # Set once nothing more of what it prints can come.
        self.printed = threading.Event()
        assert running.stdin is not None
        assert running.stdout is not None
        assert running.stderr is not None
        self.inlet = running.stdin.fileno()
        self.outlet = running.stdout.fileno()
        self.errors = running.stderr.fileno()
        for descriptor in (self.inlet, self.outlet, self.errors):
            os.set_blocking(descriptor, False)
        for descriptor in (self.inlet, self.outlet):
            with contextlib.suppress(OSError):  # only faster; a user may have used up the share
                fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE)
        self._running = running
        self._reader = FrameReader(read_before)
        self._outgoing: deque[memoryview] = deque()
        self._interval = None if silence is None else silence / 4
        self._said = time.monotonic()

    @property
    def name(self) -> str:
        """The name of its host."""
        return self.host.name

    # What goes

    def send(self, pieces: list[bytes | memoryview]) -> bool:
        """Send a frame, as `flush` does."""
        # Of bytes: a buffer of numbers is counted in numbers otherwise.
        self._outgoing.extend(memoryview(piece).cast("B") for piece in pieces if len(piece))
        return self.flush()

    def flush(self) -> bool:
        """Write what can be written; return whether that was all.

        Raises:
            OSError: the worker reads no more.
        """
        self._said = time.monotonic()
        while self._outgoing:
            piece = self._outgoing[0]
            try:
                count = os.write(self.inlet, piece[:_MOST_AT_ONCE])
            except BlockingIOError:
                return False
            if count == len(piece):
                self._outgoing.popleft()
            else:
                self._outgoing[0] = piece[count:]
        return True

    @property
    def sends(self) -> bool:
        """Whether something has still to be written."""
        return bool(self._outgoing)

    def send_all(self, pieces: Iterable[bytes]) -> None:
        """Write what comes before the first call, and wait until the worker has read it.

        Raises:
            OSError: the worker reads no more.
        """
        os.set_blocking(self.inlet, True)
        try:
            for piece in pieces:
                self.send([piece])
        finally:
            os.set_blocking(self.inlet, False)

    def wants_project(self) -> bool:
        """Wait until the worker says whether it wants the content of its project: another one on
        its host may be getting it, which takes its time.

        Raises:
            EOFError: it has ended. ProtocolError: what it says makes no sense.
        """
        poll = select.poll()
        poll.register(self.outlet, select.POLLIN)
        while True:
            poll.poll()
            frames = self.receive()
            if frames is None:
                raise EOFError
            if frames:
                (said, *more) = frames
                if said.kind != WANTED or more:
                    raise ProtocolError(f"{self.name}: what the worker said first is no answer")
                return bool(said.body == b"1")

    def keep_alive(self) -> None:
        """Say that we live, if it is time; raise OSError if the worker reads no more."""
        due = self._interval is not None and time.monotonic() - self._said >= self._interval
        if due and not self._outgoing:
            self.send(frame(ALIVE))

    # What comes

    def receive(self) -> list[Frame] | None:
        """Read once; return what is complete, None at the end.

        Raises:
            ProtocolError: what comes is no answer.
        """
        try:
            return self._reader.read(self.outlet)
        except BlockingIOError:
            return []

    @property
    def says_something(self) -> bool:
        """Whether something can be received."""
        poll = select.poll()
        poll.register(self.outlet, select.POLLIN)
        return bool(poll.poll(0))

    @property
    def exited(self) -> bool:
        """Whether it is known to have exited, though its answers have not ended."""
        return self._running.exited

    # The end

    def end(self, patience: float) -> None:
        """Ask the worker to end, which has nothing to do, and `leave`."""
        with contextlib.suppress(OSError):
            # Nobody else writes any more, and this thread may wait.
            os.set_blocking(self.inlet, True)
            self.send(frame(END))
        self.leave(patience)

    def hang_up(self) -> None:
        """Close our end: the worker ends at once, with all that it has started."""
        if self._running.stdin is not None:
            with contextlib.suppress(OSError):
                self._running.stdin.close()

    def leave(self, patience: float) -> None:
        """Wait so many seconds for the worker's end, then end it; give the devices back."""
        try:
            self._running.wait(patience)
        except subprocess.TimeoutExpired:
            self._end_all()
        except GenvxError:
            pass  # its host is lost, or has ended the connection
        self._let_go()

    def why_ended(self) -> WorkerDied:
        """Find out how a worker ended that was not asked to, and give the devices back."""
        did = f" while it ran {self.call.name}" if self.call is not None else ""
        how, hint = self._how_ended()
        error = WorkerDied(f"{self.name}: the worker {how}{did}{hint}")
        # What it had started would keep the devices.
        self._end_all()
        self._let_go()
        return error

    def _how_ended(self) -> tuple[str, str]:
        """How it ended, and what that may mean."""
        try:
            try:
                code = self._running.wait(_SOON)
            except subprocess.TimeoutExpired:
                self._end_all()
                code = self._running.wait(_ENDING)
        except subprocess.TimeoutExpired:
            return "is gone", ""
        except GenvxError as error:
            return "is gone", f": {printable(str(error), 300)}"
        if code > SIGNALLED:
            with contextlib.suppress(ValueError):
                name = signal.Signals(code - SIGNALLED).name
                hint = "; the host may have had no memory left" if name == "SIGKILL" else ""
                return f"was ended by {name}", hint
        return f"ended with exit code {code}", ""

    def _end_all(self) -> None:
        # RuntimeError: at the end of the program no thread can be started, and a question to a host
        # needs one. The host then ends what the connection has held.
        with contextlib.suppress(GenvxError, RuntimeError):
            self.host.release(self.hold.environment_id, kill=True)

    def _let_go(self) -> None:
        with contextlib.suppress(GenvxError):
            self.hold.release()
        # What it printed last is shown before anybody hears that it has ended.
        self.printed.wait(_SOON)

    def close(self) -> None:
        """Close our ends; nothing may watch them any more."""
        self._running.close()
