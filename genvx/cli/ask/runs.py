"""Which run a verb is for, on the hosts that it is asked of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from genvx.core.text import NAME_LIMIT, printable
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from genvx.cli.ask.where import Where
    from genvx.core.runinfo import RunInfo
    from genvx.fleet.fleet import Fleet

WHICH = "A run, by its id, the beginning of it, its name, or a number: 1 is the latest."
OneRun = Annotated[str, typer.Argument(metavar="RUN", help=WHICH, show_default=False)]
Runs = Annotated[list[str], typer.Argument(metavar="RUN...", help=WHICH)]


def located(
    where: Where, fleet: Fleet, wanted: str, *, deleted: bool = False
) -> tuple[Any, RunInfo]:
    """The run that is meant, and its host. deleted: one in the trash.

    Raises: as genvx.fleet.runs.locate.
    """
    return located_among(where, fleet, wanted, deleted=deleted)[:2]


def located_among(
    where: Where, fleet: Fleet, wanted: str, *, deleted: bool = False
) -> tuple[Any, RunInfo, tuple[str, ...]]:
    """As `located`, with the names of the hosts that did not answer."""
    from genvx.fleet import runs

    if len(wanted) > NAME_LIMIT:
        raise InvalidInput(f"no run {printable(wanted, 60)!r}")
    everywhere: Any = fleet
    found = where.ask(fleet, runs.question(wanted, deleted=deleted))
    place = runs.locate(everywhere, found, wanted, deleted=deleted, typed=where.typed)
    return (*place, tuple(found.failed))
