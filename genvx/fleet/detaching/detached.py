"""Runs as a program has them: started, listed and found, on one host or on those of a fleet."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import requirements_of
from genvx.core.runs.run import HoldWhen, require_tags
from genvx.core.runs.runselect import Filter, find
from genvx.core.text import printable, require_name
from genvx.core.wire.runoperations import MOST_RUNS, ListRuns
from genvx.errors import InvalidInput, NoCapacity, Unsatisfiable
from genvx.fleet.detaching import runs
from genvx.fleet.detaching.foundruns import FoundRuns
from genvx.fleet.detaching.run import Run
from genvx.fleet.detaching.submission import spec_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from genvx.core.command import Command
    from genvx.core.runs.run import RunSpec
    from genvx.fleet.ask import HostGroup
    from genvx.fleet.detaching.runs import RunHost


class Request:
    """Request is what a program says of a new run, checked.

    spec: the run. patience: seconds to wait in line; None does not wait. tags: its first ones.

    Raises:
        InvalidInput: an argument makes no sense.
    """

    def __init__(
        self,
        command: Command,
        gpus: int | str = 0,
        *,
        memory: int | None = None,
        name: str = "",
        wait: float | None = None,
        time: float | None = None,
        visible_as: str | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        tags: Sequence[str] = (),
        hold: float | None = None,
        hold_when: str = "always",
        retries: int = 0,
        notify: str = "",
    ) -> None:
        ask = Ask(
            requirements_of(gpus, memory, visible_as),
            require_name(name),
            lasts=_seconds("time", time),
            patience=wait,
        )
        keep = _seconds("hold", hold)
        self.patience = ask.patience
        self.tags = require_tags(_words(tags))
        self.spec: RunSpec = spec_of(
            command,
            ask,
            cwd=_from_home(cwd or ""),
            variables=env,
            hold=None if keep is None else max(1, round(keep)),
            hold_when=_hold_when(hold_when),
            retries=retries,
            notify=notify,
        )


def start(fleet: HostGroup[RunHost], asked: Request) -> Run:
    """Start a run on the best host of a fleet; see genvx.fleet.detaching.runs.submit."""
    try:
        return Run(*runs.submit(fleet, asked.spec, fleet.snapshot(), tags=asked.tags))
    except NoCapacity as refusal:
        if asked.patience is None or isinstance(refusal, Unsatisfiable):
            raise
    # Only now in line, by new snapshots: a program starts many runs at the same time, and by those
    # from before they would all wait on the host that seemed best to each of them.
    seen = fleet.snapshot()
    return Run(*runs.submit(fleet, asked.spec, seen, patience=asked.patience, tags=asked.tags))


def start_on(host: RunHost, asked: Request) -> Run:
    """Start a run on one host."""
    return Run(host, host.submit(asked.spec, patience=asked.patience, tags=asked.tags))


def listing(
    state: str | Sequence[str] = (),
    tags: str | Sequence[str] = (),
    name: str | None = None,
    since: float | None = None,
    most: int = MOST_RUNS,
    *,
    deleted: bool = False,
) -> ListRuns:
    """Make the question for runs that match all that is given.

    Raises:
        InvalidInput: an argument makes no sense.
    """
    if not (isinstance(most, int) and 1 <= most <= MOST_RUNS):
        raise InvalidInput(f"most is a number from 1 to {MOST_RUNS}, not {most!r}")
    ago = _seconds("since", since)
    # By the wall clock, as people mean it.
    first = None if ago is None else max(0, time.time_ns() - round(ago * 1e9))
    narrowed = Filter(
        _words(state),
        require_tags(_words(tags)),
        None if name is None else require_name(name),
        first,
    )
    return ListRuns(narrowed, most, deleted)


def listed(fleet: HostGroup[RunHost], asked: ListRuns) -> FoundRuns[Run]:
    """List the runs of a fleet.

    Raises:
        FleetError: no host answered.
    """
    outcomes = fleet.ask(lambda host: host.answer(asked))
    if not outcomes.succeeded:
        raise fleet.nowhere({}, outcomes.failed)
    found = [
        (info.age_key, Run(fleet.host(host), info))
        for host, infos in outcomes.succeeded.items()
        for info in infos
    ]
    found.sort(key=lambda each: each[0], reverse=True)
    return FoundRuns([run for _, run in found[: asked.most]], outcomes.failed)


def listed_on(host: RunHost, asked: ListRuns) -> list[Run]:
    """List the runs of one host."""
    return [Run(host, info) for info in host.answer(asked)]


def found(fleet: HostGroup[RunHost], wanted: str | int) -> Run:
    """Find the run that is meant; see genvx.fleet.detaching.runs.locate."""
    text = str(wanted)
    return Run(*runs.locate(fleet, fleet.ask(runs.question(text)), text))


def found_on(host: RunHost, wanted: str | int) -> Run:
    """Find the run that is meant on one host."""
    text = str(wanted)
    return Run(host, find(runs.question(text)(host), text))


def _words(given: str | Sequence[str]) -> tuple[str, ...]:
    """A word alone is one word, not its letters."""
    return (given,) if isinstance(given, str) else tuple(given)


def _seconds(what: str, given: float | None) -> float | None:
    if given is not None and not (type(given) in (int, float) and 0 <= given < math.inf):
        raise InvalidInput(f"{what} is a number of seconds, not {given!r}")
    return given


def _from_home(directory: str) -> str:
    """The directories of a host are counted from the home there."""
    return directory[2:] or "." if directory == "~" or directory.startswith("~/") else directory


def _hold_when(word: str) -> HoldWhen:
    try:
        return HoldWhen(word)
    except ValueError:
        words = " or ".join(repr(each.value) for each in HoldWhen)
        raise InvalidInput(f"hold_when is {words}, not {printable(str(word), 40)!r}") from None
