"""Which run a verb is for, on the hosts that it is asked of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from genvx.cli.parse.declaring import Argument, Option
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from genvx.cli.ask.where import Where
    from genvx.core.runs.runinfo import RunInfo
    from genvx.fleet.fleet import Fleet

EMPTY_RUN = "RUN is empty; give an id, a name, or 1 for the latest run"
WHICH = "A run, by its id, the beginning of it, its name, or a number: 1 is the latest."


def not_empty(given: Any) -> None:
    """Refuse RUN that is given and empty.

    Most of the time that is a variable that is not set, and the latest run is not what it means.
    """
    if "" in (given if isinstance(given, list) else [given]):
        raise InvalidInput(EMPTY_RUN)


OneRun = Annotated[str, Argument(metavar="RUN", help=WHICH, show_default=False, check=not_empty)]
Node = Annotated[
    int | None,
    Option("--node", metavar="K", min=0, help="Node K of a run on several hosts (default: 0)."),
]
WaitForStart = Annotated[
    str | None,
    Option(
        "--wait", metavar="[=TIME]", help="Wait for its start, at most TIME (default: no limit)."
    ),
]
# Guild asks before it ends or deletes runs, and people have -y in their fingers. Nothing is asked
# here.
Unasked = Annotated[bool, Option("-y", "--yes", hidden=True)]
Runs = Annotated[list[str], Argument(metavar="RUN...", help=WHICH, check=not_empty)]


def located(
    where: Where, fleet: Fleet, wanted: str, *, deleted: bool = False
) -> tuple[Any, RunInfo]:
    """The run that is meant, and its host; of a gang its first part. deleted: one in the trash.

    Raises: as genvx.fleet.detaching.runs.locate.
    """
    return located_parts(where, fleet, wanted, deleted=deleted)[0]


def located_parts(
    where: Where, fleet: Fleet, wanted: str, *, deleted: bool = False, others: bool = False
) -> tuple[tuple[Any, RunInfo], ...]:
    """As `located`, with all parts of a gang. others: for root, also runs of other users."""
    return located_among(where, fleet, wanted, deleted=deleted, others=others)[0]


def shown_host(host: Any, run: RunInfo) -> str:
    """The name of the host of a run; of a copy, that of the host from which it was copied."""
    return host.name if run.pulled is None else run.pulled.host


def part_of(parts: tuple[tuple[Any, RunInfo], ...], node: int | None) -> tuple[Any, RunInfo]:
    """One part of a run, with its host; by default the first that was found.

    Raises:
        InvalidInput: there is no such part.
    """
    for host, run in parts:
        if node in (None, run.rank):
            return host, run
    raise InvalidInput(f"run {parts[0][1].label_or_id} has no node {node} among its hosts")


def located_among(
    where: Where, fleet: Fleet, wanted: str, *, deleted: bool = False, others: bool = False
) -> tuple[tuple[tuple[Any, RunInfo], ...], tuple[str, ...]]:
    """As `located_parts`, and the names of the hosts that did not answer."""
    from genvx.fleet.detaching import runs

    everywhere: Any = fleet
    copies = not where.remote
    asked = runs.question(wanted, deleted=deleted, others=others, copies=copies)
    found = where.find(fleet, asked)
    parts = runs.locate_parts(everywhere, found, wanted, deleted=deleted, typed=where.typed)
    part = parts[0][1].spec.part
    if part is not None and len(parts) < len(part.nodes) and wanted != parts[0][1].id:
        # Some parts may not have what was typed, such as a label; the id they all have.
        again = runs.question(parts[0][1].id, deleted=deleted, others=others, copies=copies)
        found = where.find(fleet, again)
        parts = runs.locate_parts(everywhere, found, parts[0][1].id)
    return parts, tuple(found.failed)
