"""What is done to several runs, one after the other: a line for each, and one exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import typer

from genvx.cli.ask.runs import located_parts
from genvx.cli.ask.where import Where, here
from genvx.errors import GenvxError, kind_of
from genvx.shown.console import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.core.runs.runinfo import RunInfo
    from genvx.core.wire.operation import Operation
    from genvx.fleet.fleet import Fleet

T = TypeVar("T")


class Several:
    """Does something to each of several runs, and prints what became of each.

    code: the exit code of the first that failed; the others are tried all the same.
    """

    def __init__(self, where: Where) -> None:
        self.code = 0
        self._where = where

    def attempt(self, host: Any, act: Callable[..., T], *given: object) -> T | None:
        """Do something to a run on a host; print why, and return None, if it fails."""
        try:
            return act(*given)
        except GenvxError as error:
            head = f"{host.name}: {kind_of(error)}" if self._where.remote else "genvx"
            say(f"{head}: {error}")
            self.code = self.code or error.exit_code
            return None

    def done(self, host: Any, line: str) -> None:
        """Print what became of a run on a host."""
        print(f"{line} on {host.name}" if self._where.remote else line, flush=True)


def places(
    where: Where, fleet: Fleet, wanted: list[str], *, deleted: bool = False
) -> list[tuple[Any, RunInfo]]:
    """The runs that are meant, each once, with their hosts; of a gang all parts. All are found
    before one is touched, because a number means another run when one is gone.
    """
    found = {}
    for each in wanted:
        for host, run in located_parts(where, fleet, each, deleted=deleted):
            found[(host.name, run.id)] = (host, run)
    return list(found.values())


def ask_each(
    context: typer.Context,
    wanted: list[str],
    question: Callable[[RunInfo], Operation[RunInfo]],
    did: str,
    *,
    deleted: bool = False,
) -> None:
    """Ask the host of each run something, and print what was done to it."""
    where = here(context)
    several = Several(where)
    with where.fleet() as fleet:
        for host, found in places(where, fleet, wanted, deleted=deleted):
            run: RunInfo | None = several.attempt(host, host.answer, question(found))
            if run is not None:
                several.done(host, f"{did} run {run.label_or_id}")
    raise typer.Exit(several.code)
