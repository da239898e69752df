"""The terminal of a run that was started with --tty: what it prints goes to the log."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
import struct
import termios
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from genvx.core.wire.viewing import Size

if TYPE_CHECKING:
    from typing import Callable

# The size of a terminal without viewers; programs wrap their lines for it.
USUAL = Size(rows=24, columns=80)

_PART = 65536
# So many parts are copied before the supervisor looks at anything else.
_AT_ONCE = 32
# A process outside of the run may have the terminal open at the end, and keep it open. So reading
# ends when nothing has come for so long, or, if that process prints without end, after so many
# seconds: all that the command has printed is read by then.
_QUIET_MS = 200
_LONGEST_REST = 3.0


class Terminal:
    """A pty that its run's supervisor owns.

    log: what is printed is appended there. size: what it has at first. feed: called with what is
    printed.

    Our copy of the command's end stays open until `finish`. Without it a command that closes its
    terminal and opens it again later would get an error.
    """

    def __init__(
        self,
        log: int,
        size: Size = USUAL,
        feed: Callable[[bytes], object] = lambda data: None,
    ) -> None:
        self._log = log
        self._feed = feed
        self._lost = 0
        self.descriptor, self.command_end = os.openpty()
        self.resize(size)
        os.set_blocking(self.descriptor, False)

    def resize(self, size: Size) -> None:
        """Give it another size; the programs in its foreground hear of it."""
        packed = struct.pack("HHHH", size.rows, size.columns, 0, 0)
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, packed)

    def redraw(self) -> None:
        """Have a program in the foreground that fills the screen draw it again."""
        with suppress(OSError):
            group = os.tcgetpgrp(self.descriptor)
            if group > 1:
                os.killpg(group, signal.SIGWINCH)

    def type(self, data: bytes) -> int:
        """Type something; return how many bytes the terminal took. The others have to wait."""
        try:
            return os.write(self.descriptor, data)
        except BlockingIOError:
            return 0
        except OSError:
            return len(data)  # it has hung up, so these keys are lost

    def copy(self) -> bool:
        """Append to the log what can be read, or a part of it; return whether there was any.

        Raises:
            EOFError: all output has been read, and no process has the command's end open.
        """
        for count in range(_AT_ONCE):
            try:
                data = os.read(self.descriptor, _PART)
            except BlockingIOError:
                return count > 0
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
                data = b""
            if not data:
                raise EOFError
            self._append(data)
            self._feed(data)
        return True

    def finish(self) -> None:
        """Append what is left, once the processes of the run have ended, and close the terminal."""
        os.close(self.command_end)
        # The kernel passes on what was printed a moment later. EOF comes behind all of it.
        look = select.poll()
        look.register(self.descriptor, select.POLLIN)
        try:
            over = time.monotonic() + _LONGEST_REST
            while time.monotonic() < over and look.poll(_QUIET_MS):
                self.copy()
        except EOFError:
            pass
        finally:
            os.close(self.descriptor)
            self._append(b"")

    def _append(self, data: bytes) -> None:
        """Append to the log. If the disk is full the command goes on, and the log says later what
        is missing.
        """
        try:
            if self._lost:
                note = f"\r\ngenvx: {self._lost} bytes of output are missing: the disk was full\r\n"
                os.write(self._log, note.encode())
                self._lost = 0
            while data:
                data = data[os.write(self._log, data) :]
        except OSError:
            self._lost += len(data)
