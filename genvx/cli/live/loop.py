"""The screen of genvx top: drawn when something has changed, until a person leaves it."""

from __future__ import annotations

import io
import os
import select
import signal
import sys
import threading
import time
from collections import deque
from contextlib import ExitStack, contextmanager, redirect_stderr
from typing import TYPE_CHECKING, Any

from genvx.cli.live.acts import Acts
from genvx.cli.live.draw import screen as drawn
from genvx.cli.live.keys import Key, Keys
from genvx.cli.live.known import Known, now
from genvx.cli.live.logs import Log
from genvx.cli.live.model import End, Follow, Model, Quit
from genvx.cli.live.paint import Frame
from genvx.cli.show.screen import other_screen
from genvx.core.text import printable
from genvx.errors import InvalidInput
from genvx.shown.cells import terminal_size
from genvx.shown.colours import takes_colours
from genvx.shown.console import say
from genvx.watching.web.looks import Looks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from genvx.cli.ask.where import Where
    from genvx.cli.show.screen import Screen
    from genvx.fleet.ask import HostGroup

# Seconds: until the clocks of the screen are drawn again; between two drawings of what hosts have
# shown; and after which the beginning of a sequence was the key Esc.
_TICK, _TOGETHER, _ESC = 1.0, 0.1, 0.05
_MOST_READ = 4096
# Of what was printed on stderr meanwhile, the last lines are said at the end.
_MOST_LINES = 20


def top(where: Where) -> int:
    """Show the hosts until a person leaves the screen; return the exit code.

    Raises:
        InvalidInput: stdin or stdout is no terminal, or one that cannot move its cursor.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InvalidInput(f"top needs a terminal; {where.typed} devices -w is for pipes")
    if os.environ.get("TERM", "dumb") == "dumb":
        raise InvalidInput(
            f"top needs a terminal that moves its cursor, and TERM says that this one does not; "
            f"{where.typed} devices shows the GPUs"
        )
    with where.fleet() as fleet:
        return show(fleet)


def show(fleet: HostGroup[Any]) -> int:
    """Show the hosts of a fleet in the terminal of stdin and stdout; return the exit code."""
    return _Top(fleet).run()


class _Top:
    """The screen, and what is behind it."""

    def __init__(self, fleet: HostGroup[Any]) -> None:
        self._fleet = fleet
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(self._writing, False)
        self._known = Known([host.name for host in fleet.hosts], self._wake)
        self._looks = Looks(fleet, lambda sight, runs, user: self._known.show(sight, runs))
        self._acts = Acts(fleet, self._tell)
        self._model = Model()
        self._keys = Keys()
        self._frame = Frame(colours=takes_colours(sys.stdout))
        self._due = 0.0
        self._fault: BaseException | None = None

    def run(self) -> int:
        """Show the screen until a person leaves it; return the exit code."""
        with ExitStack() as stack:
            lines = _Lines(lambda line: self._tell(line, "warn"))
            stack.callback(lines.repeat)
            stack.enter_context(redirect_stderr(lines))
            stack.callback(self._looks.stop)
            stack.enter_context(_waking(self._writing))
            self._looks.open_page()
            shown = stack.enter_context(other_screen(keys=True))
            threading.Thread(target=self._look, name="genvx top", daemon=True).start()
            while True:
                with shown.lock:
                    self._draw(shown)
                if not self._wait(shown):
                    return 0

    def _look(self) -> None:
        try:
            self._looks.run()
        except BaseException as error:
            # Raised where a person sees it: in the thread of the screen.
            self._fault = error
            self._wake()

    def _wake(self) -> None:
        try:
            os.write(self._writing, b"\0")
        except BlockingIOError:
            pass  # it will wake up anyway

    def _tell(self, text: str, style: str) -> None:
        self._model.say(text, style)
        self._wake()

    def _draw(self, shown: Screen) -> None:
        if self._fault is not None:
            raise self._fault
        size = terminal_size(sys.stdout)
        columns, lines = (80, 24) if size is None else (size.columns, size.lines)
        if shown.stale:
            self._frame.forget()
            shown.stale = False
        hosts = self._known.hosts()
        self._model.look(hosts, columns, lines)
        _write(self._frame.update(drawn(self._model, hosts, now()), columns))
        self._due = time.monotonic() + _TOGETHER

    def _wait(self, shown: Screen) -> bool:
        """Wait until there is something to draw, and do what is typed; return False at the end."""
        end = time.monotonic() + (_ESC if self._keys.is_waiting else _TICK)
        while True:
            left = end - time.monotonic()
            ready, _, _ = select.select([0, self._reading], [], [], max(0.0, left))
            if 0 in ready:
                return self._typed(shown)
            if not ready:
                return self._do(self._keys.time_out())
            if self._reading in ready:
                os.read(self._reading, _MOST_READ)
                if shown.stale or self._size_changed():
                    return True
                # Many hosts answer at about the same time.
                end = min(end, max(self._due, time.monotonic()))

    def _size_changed(self) -> bool:
        size = terminal_size(sys.stdout)
        return size is not None and (self._model.columns, self._model.lines) != tuple(size)

    def _typed(self, shown: Screen) -> bool:
        with shown.lock:
            # Meanwhile a question may have been asked and answered on this terminal.
            if not select.select([0], [], [], 0)[0]:
                return True
            try:
                data = os.read(0, _MOST_READ)
            except OSError:
                data = b""  # the terminal has gone
            return bool(data) and self._do(self._keys.take(data))

    def _do(self, events: list[Any]) -> bool:
        for event in events:
            if event == Key("redraw"):
                self._frame.forget()
                continue
            wish = self._model.take(event)
            if isinstance(wish, Quit):
                return False
            if isinstance(wish, End):
                self._acts.end(wish.target, kill=wish.kill)
            elif isinstance(wish, Follow):
                log = self._model.log = Log(wish.target, self._wake)
                self._model.mode, self._model.scroll = "log", 0
                log.follow(self._fleet.host(wish.target.hosts[0]))
        return True


class _Lines(io.TextIOBase):
    """Takes what is printed on stderr meanwhile, such as that a host key is new: there it would be
    written across the screen. tell: gets each line.
    """

    def __init__(self, tell: Callable[[str], object]) -> None:
        self._tell = tell
        self._lines: deque[str] = deque(maxlen=_MOST_LINES)
        self._open = ""

    def write(self, text: str) -> int:
        """Take a text."""
        *lines, self._open = (self._open + text).split("\n")
        for line in lines:
            self._lines.append(line)
            self._tell(printable(line))
        return len(text)

    def repeat(self) -> None:
        """Say what was printed, after the screen is left."""
        for line in self._lines:
            say(line)


@contextmanager
def _waking(descriptor: int) -> Iterator[None]:
    """Have a change of the terminal's size, and every other signal, wake those who read from the
    other end of a pipe.
    """
    before = signal.signal(signal.SIGWINCH, lambda number, frame: None)
    old = signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(old)
        signal.signal(signal.SIGWINCH, before)


def _write(text: str) -> None:
    """Write to the terminal, in characters that it can show."""
    data = text.encode(sys.stdout.encoding or "utf-8", "replace")
    while data:
        data = data[os.write(1, data) :]
