"""What is done to several runs, one after the other: a line for each, or JSON; one exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from genvx.cli.ask.runs import located_parts
from genvx.cli.ask.where import Where, here
from genvx.cli.parse.declaring import Context, Exit
from genvx.errors import GenvxError, kind_of
from genvx.shown.console import say

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from genvx.cli.schema.document import Plain
    from genvx.core.runs.runinfo import RunInfo
    from genvx.core.wire.operation import Operation
    from genvx.fleet.fleet import Fleet

T = TypeVar("T")


class Several:
    """Does something to each of several runs, and prints what became of each.

    json: print one document at the end instead of a line for each. code: the exit code of the first
    that failed; the others are tried all the same.
    """

    def __init__(self, where: Where, *, json: bool = False) -> None:
        self.code = 0
        self._where = where
        self._json = json
        self._acts: list[Plain] = []

    def attempt(self, host: Any, run: RunInfo, act: Callable[..., T], *given: object) -> T | None:
        """Do something to a run on a host; print why, and return None, if it fails."""
        try:
            return act(*given)
        except GenvxError as error:
            head = f"{host.name}: {kind_of(error)}" if self._where.remote else "genvx"
            say(f"{head}: {error}")
            self.code = self.code or error.exit_code
            from genvx.cli.schema.runs import plain_failed_act

            self._acts.append(plain_failed_act(host.name, run.id, error))
            return None

    def done(self, host: Any, run: RunInfo, did: str, line: str) -> None:
        """Print what became of a run on a host. did: the same, in a word for programs."""
        if self._json:
            from genvx.cli.schema.runs import plain_act

            self._acts.append(plain_act(host.name, did, run))
        else:
            print(f"{line} on {host.name}" if self._where.remote else line, flush=True)

    def finish(self, verb: str, failed: Mapping[str, GenvxError] | None = None) -> None:
        """Print the document, if that is wanted. failed: hosts that named no runs, and why."""
        if self._json:
            from genvx.cli.schema.runs import print_acts

            print_acts(verb, self._acts, failed)


def places(
    where: Where,
    fleet: Fleet,
    wanted: list[str],
    *,
    deleted: bool = False,
    others: bool = False,
) -> list[tuple[Any, RunInfo]]:
    """The runs that are meant, each once, with their hosts; of a gang all parts. All are found
    before one is touched, because a number means another run when one is gone. others: for root,
    also those of other users.
    """
    found = {}
    for each in wanted:
        for host, run in located_parts(where, fleet, each, deleted=deleted, others=others):
            found[(host.name, run.asked_as)] = (host, run)
    return list(found.values())


def ask_each(
    context: Context,
    wanted: list[str],
    question: Callable[[RunInfo], Operation[RunInfo]],
    did: str,
    *,
    deleted: bool = False,
    json: bool = False,
) -> None:
    """Ask the host of each run something, and print what was done to it. did: as in "deleted"."""
    where = here(context)
    several = Several(where, json=json)
    with where.runs_fleet() as fleet:
        for host, found in places(where, fleet, wanted, deleted=deleted):
            run: RunInfo | None = several.attempt(host, found, host.answer, question(found))
            if run is not None:
                several.done(host, run, did, f"{did.capitalize()} run {run.label_or_id}")
    several.finish(f"runs {context.name}")
    raise Exit(several.code)
