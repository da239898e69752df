"""Copies of runs of other machines: where they came from, and how they are brought up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.cli.ask.where import Where
from genvx.core.runs.runselect import Filter
from genvx.core.runs.runstate import LIVE
from genvx.core.wire.runoperations import MOST_RUNS, ListRuns
from genvx.errors import GenvxError, InvalidInput

if TYPE_CHECKING:
    from genvx.core.runs.pulled import Pulled


def origin(pulled: Pulled) -> Where:
    """The hosts from which a copy came."""
    way = pulled.way
    return Where(
        remote=True,
        hostfile=way.hostfile or None,
        hosts=way.hosts or None,
        named=way.remote or None,
        login=way.login or None,
    )


def refresh(where: Where) -> int:
    """Pull again the runs that were alive when they were copied; return the exit code: that of the
    first that failed, which does not keep the others from being pulled.
    """
    from genvx.cli.ask.runs import located_parts
    from genvx.cli.pulling import Pull, pulled, tell_left_out
    from genvx.cli.show.sending import Sending

    if where.remote:
        raise InvalidInput("--refresh is for the copies on this machine: genvx runs --refresh")
    with where.fleet() as fleet:
        (host,) = fleet.hosts
        found = host.answer(ListRuns(Filter(LIVE), MOST_RUNS, copies=True))
    code, seen = 0, set()
    for each in found:
        if each.pulled is None or each.id in seen:
            continue
        seen.add(each.id)
        asked = Pull(only=each.pulled.only, everything=each.pulled.everything)
        there = origin(each.pulled)
        try:
            with there.fleet() as fleet, Sending("pulling from") as shown:
                for host, run in located_parts(there, fleet, each.id):
                    tell_left_out(pulled(there, host, run, asked, shown))
        except GenvxError as error:
            where.note(f"run {each.label_or_id} of {each.pulled.host}: {error}")
            code = code or error.exit_code
    return code
