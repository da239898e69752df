"""The options of verbs that print a table or a document: its form, its columns, its redrawing.

A verb has a parameter `shown: Shown`; `tabled` replaces it by the options.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from genvx.cli.ask import options
from genvx.cli.ask.expanding import expanded
from genvx.core.value import value

if TYPE_CHECKING:
    from genvx.cli.show.output import Output


@value
class Shown:
    """How a verb shows what it found. interval: seconds between drawings; None draws once."""

    output: Output
    interval: float | None = None

    def draw(self, show: Callable[[], int]) -> int:
        """Show it, once or until Ctrl-C; return the exit code. show: asks, and prints."""
        if self.interval is None:
            return show()
        from genvx.cli.show.watch import watch

        return watch(self.interval, show)


def _shown(
    fields: options.Fields = None,
    json: options.Json = False,
    csv: options.Csv = False,
    style: options.Style = None,
    no_header: options.NoHeader = False,
    no_summary: options.NoSummary = False,
    timestamp: options.Timestamp = False,
    redraw: options.Watch = False,
    interval: options.Interval = 2.0,
) -> Shown:
    from genvx.cli.show.output import Output

    chosen: tuple[str, ...] = ()
    if fields is not None:
        from genvx.cli.show.fields import fields_of

        chosen = fields_of(fields, json=json)
    output = Output(json, csv, not no_header, not no_summary, chosen, timestamp, style)
    return Shown(output, interval if redraw else None)


def tabled(*left_out: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a verb the options of a table, except those in `left_out`."""

    def decorate(verb: Callable[..., None]) -> Callable[..., None]:
        def call(wanted: dict[str, Any], given: dict[str, Any]) -> None:
            verb(shown=_shown(**wanted), **given)

        return expanded(verb, _shown, left_out, call)

    return decorate


# For verbs whose table is the whole answer: nothing in it changes from one second to the next.
ONCE = ("redraw", "interval")
# For verbs with one table of a fixed form.
PLAIN = ("fields", "timestamp")
