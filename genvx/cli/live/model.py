"""What a person has chosen on the screen, and what each key does to that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genvx.cli.live.keys import Click, Key
from genvx.cli.live.listing import Listed, Lister, Sorting
from genvx.cli.live.pages import GPUS, PAGES
from genvx.core.value import value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genvx.cli.live.known import Seen
    from genvx.cli.live.logs import Log
    from genvx.cli.live.rows import Row, Target

# Lines of the screen above and below the rows, and rows that a turn of the wheel moves.
ABOVE, BELOW, _WHEEL = 3, 1, 3
TABS, HEADER = 1, 2
_MOST_TYPED = 100


@value
class Quit:
    """Leave the screen."""


@value
class End:
    """End an environment or a run. kill: also the processes of the environment."""

    target: Target
    kill: bool = False


@value
class Follow:
    """Show the log of a run."""

    target: Target


class Model:
    """The screen as a person has arranged it. Its size comes with `look`.

    mode: list, help, details, log, filter (its text is being typed) or ask (about `question`).
    message: a line about what was done, and its style.
    """

    def __init__(self) -> None:
        self.page = GPUS
        self.mode = "list"
        self.filter = ""
        self.message: tuple[str, str] = ("", "")
        self.question: Target | None = None
        self.log: Log | None = None
        self.top = 0
        self.scroll = 0
        self.sortings = [Sorting() for _ in PAGES]
        self.listed = Listed((), (), ())
        self.at = 0
        self.columns, self.lines = 80, 24
        self.tabs: list[tuple[int, int]] = []
        self._key: tuple[str, ...] | None = None
        self._folding: dict[str, bool] = {}
        self._lister = Lister()

    @property
    def height(self) -> int:
        """The rows for which there is room."""
        return max(1, self.lines - ABOVE - BELOW)

    @property
    def row(self) -> Row | None:
        """The row that is chosen."""
        rows = self.listed.rows
        return rows[self.at] if self.at < len(rows) else None

    def look(self, hosts: Sequence[Seen], columns: int, lines: int) -> None:
        """Take what is known now, and the size of the terminal."""
        self.columns, self.lines = columns, lines
        self._hosts = hosts
        self._list()

    def _list(self) -> None:
        self.listed = self._lister.listed(
            self.page,
            self._hosts,
            self.columns,
            self.height,
            filtered=self.filter,
            sorting=self.sortings[self.page],
            folding=self._folding,
        )
        rows = self.listed.rows
        # The same thing stays chosen, wherever it is now.
        if self.row is None or self.row.key != self._key:
            places = (at for at, row in enumerate(rows) if row.key == self._key)
            self.at = next(places, min(self.at, max(0, len(rows) - 1)))
        self._choose(self.at)

    def _choose(self, at: int) -> None:
        rows = self.listed.rows
        self.at = max(0, min(at, len(rows) - 1))
        self._key = None if self.row is None else self.row.key
        self.top = max(min(self.top, self.at), self.at - self.height + 1)
        self.top = max(0, min(self.top, len(rows) - self.height))

    def say(self, text: str, style: str = "") -> None:
        """Show a line about what was done."""
        self.message = (text, style)

    # What is typed

    def take(self, event: Key | Click) -> Quit | End | Follow | None:
        """Do what an event means; return what has to be done elsewhere."""
        if self.mode == "ask":
            return self._answer(event)
        if self.mode == "filter":
            self._type(event)
            return None
        self.message = ("", "")
        if self.mode == "list":
            return self._click(event) if isinstance(event, Click) else self._press(event.name)
        return self._scrolled(event)

    def _answer(self, event: Key | Click) -> End | None:
        if not isinstance(event, Key):
            return None
        target, self.question = self.question, None
        self.mode = "list"
        assert target is not None
        if event.name in ("y", "Y"):
            return End(target)
        if event.name in ("k", "K") and target.kind == "environment":
            return End(target, kill=True)
        self.say("nothing was ended")
        return None

    def _type(self, event: Key | Click) -> None:
        name = event.name
        if name == "enter" or isinstance(event, Click):
            self.mode = "list"
        elif name == "esc":
            self.mode, self.filter = "list", ""
        elif name == "backspace":
            self.filter = self.filter[:-1]
        elif name == "clear":
            self.filter = ""
        elif len(name) == 1 and len(self.filter) < _MOST_TYPED:
            self.filter += name
        self.top = 0
        self._list()

    def _scrolled(self, event: Key | Click) -> Quit | Follow | None:
        """Scroll a help, details or a log; the way back."""
        step = {
            "up": -1, "k": -1, "down": 1, "j": 1, "wheel-up": -_WHEEL, "wheel-down": _WHEEL,
            "pageup": -self.height, "pagedown": self.height, " ": self.height,
            "home": -(10**9), "g": -(10**9), "end": 10**9, "G": 10**9,
        }.get(event.name)  # fmt: skip
        if step is not None:
            # A log is scrolled up from its end, which it follows.
            self.scroll = max(0, self.scroll - step if self.mode == "log" else self.scroll + step)
        elif event.name in ("q", "esc", "enter", "left", "?"):
            self.close()
        return None

    def close(self) -> None:
        """Go back to the rows."""
        if self.log is not None:
            self.log.close()
            self.log = None
        self.mode, self.scroll = "list", 0

    def _press(self, name: str) -> Quit | End | Follow | None:
        moves = {
            "up": -1, "k": -1, "down": 1, "j": 1, "pageup": -self.height, "pagedown": self.height,
            "home": -(10**9), "g": -(10**9), "end": 10**9, "G": 10**9,
        }  # fmt: skip
        if name == "q":
            return Quit()
        if name in moves:
            self._choose(self.at + moves[name])
        elif name in ("tab", "backtab"):
            self._turn(self.page + (1 if name == "tab" else -1))
        elif name.isdecimal() and 1 <= int(name) <= len(PAGES):
            self._turn(int(name) - 1)
        elif name in ("?", "h", "f1"):
            self.mode, self.scroll = "help", 0
        elif name == "/":
            self.mode = "filter"
        elif name == "esc":
            self.filter = ""
            self._list()
        elif name in ("s", "S", "r"):
            self._sort(name)
        elif name in ("e", "c"):
            self._folding = {"": name == "c"}
            self._list()
        elif name in ("left", "right", " "):
            self._fold(name)
        elif name in ("enter", "i"):
            return self._open(self.row, name)
        elif name == "l":
            return self._follow(self.row)
        elif name == "x":
            self._ask()
        return None

    def _click(self, event: Click) -> Follow | None:
        if event.name != "press":
            self._choose(self.at + (_WHEEL if event.name == "wheel-down" else -_WHEEL))
        elif event.row == TABS:
            for page, (first, last) in enumerate(self.tabs):
                if first <= event.column < last:
                    self._turn(page)
        elif event.row == HEADER:
            self._sort_by(event.column)
        elif ABOVE <= event.row < ABOVE + self.height:
            at = self.top + event.row - ABOVE
            if at < len(self.listed.rows):
                again = at == self.at
                self._choose(at)
                row = self.listed.rows[at]
                if row.parent and (again or event.column < 2):
                    self._fold(" ")
                elif again:
                    return self._open(row, "enter")
        return None

    def _turn(self, page: int) -> None:
        self.page, self.at, self.top, self._key = page % len(PAGES), 0, 0, None
        self._list()

    def _sort(self, name: str) -> None:
        sorting = self.sortings[self.page]
        if name == "r":
            changed = Sorting(sorting.column, not sorting.reverse)
        else:
            # Through the columns that are shown, and the order in which all is at first.
            places: list[int | None] = [None, *self.listed.shown]
            at = places.index(sorting.column) if sorting.column in places else 0
            changed = Sorting(places[(at + (1 if name == "s" else -1)) % len(places)])
        self.sortings[self.page] = changed
        self._list()

    def _sort_by(self, column: int) -> None:
        end = 0
        for place, size in zip(self.listed.shown, self.listed.widths, strict=True):
            end += size + 2
            if column < end:
                sorting = self.sortings[self.page]
                again = sorting.column == place
                self.sortings[self.page] = Sorting(place, again and not sorting.reverse)
                self._list()
                return

    def _fold(self, name: str) -> None:
        row = self.row
        if row is None or self.page != GPUS:
            return
        is_folded = row.parent and row.key in self.listed.folded
        if not row.parent and name == "right":
            return
        if name == "right":
            folded = False
        elif name == "left":
            folded = True
        else:
            folded = not is_folded
        # A device stands for its host, which is chosen then.
        self._key = ("host", row.host)
        self._folding[row.host] = folded
        self._list()

    def _open(self, row: Row | None, name: str) -> Follow | None:
        if row is None:
            return None
        if name == "enter" and row.parent:
            self._fold(" ")
            return None
        if name == "enter" and row.key[0] == "run":
            return self._follow(row)
        self.mode, self.scroll = "details", 0
        return None

    def _follow(self, row: Row | None) -> Follow | None:
        targets = [] if row is None else [each for each in row.targets if each.kind == "run"]
        if not targets:
            self.say("choose a run on page 4: l shows its log")
            return None
        return Follow(targets[0])

    def _ask(self) -> None:
        targets = () if self.row is None else self.row.targets
        if len(targets) == 1:
            self.question, self.mode = targets[0], "ask"
        elif targets:
            self.say("several environments are on this GPU; choose one on page 3")
        else:
            self.say("nothing to end here; choose an environment or a run")

    _hosts: Any = ()
