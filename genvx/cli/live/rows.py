"""Rows of a page: cells that are drawn, sorted and searched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genvx.cli.live.paint import text_of
from genvx.core.text import printable
from genvx.core.value import cached, value
from genvx.shown.cells import width

if TYPE_CHECKING:
    from genvx.cli.live.paint import Span, Spans
    from genvx.core.leases.environment import Environment

_MOST = 300


@value
class Target:
    """What can be ended: an environment, or a run. hosts: those of its parts."""

    kind: str
    id: str
    label: str
    hosts: tuple[str, ...]

    @classmethod
    def of(cls, host: str, env: Environment) -> Target:
        """Return an environment as a target."""
        label = printable(f"{env.label} of {env.owner.name}", _MOST)
        return cls("environment", env.id, label, (host,))


@value
class Row:
    """A row. key: what it is about, the same from one look to the next. host: where that is.

    order: by what each column is sorted. targets: what can be ended. parent: whether rows that
    follow belong to it and can be folded away.
    """

    key: tuple[str, ...]
    host: str
    cells: tuple[Spans, ...]
    order: tuple[Any, ...]
    targets: tuple[Target, ...] = ()
    parent: bool = False

    @cached
    def texts(self) -> tuple[str, ...]:
        """The text of each cell."""
        return tuple(text_of(cell) for cell in self.cells)

    @cached
    def widths(self) -> tuple[int, ...]:
        """The cells of a terminal that each takes."""
        return tuple(map(width, self.texts))

    @cached
    def haystack(self) -> str:
        """What a filter looks into."""
        return " ".join((self.host, *self.texts)).casefold()


def safe(text: str, style: str = "") -> Span:
    """A text of a host on one line, without control characters."""
    return (printable(text, _MOST), style)


def cell(text: str, style: str = "") -> Spans:
    """A cell with a text of a host."""
    return (safe(text, style),)
