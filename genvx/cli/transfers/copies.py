"""Copies of runs of other machines: where they came from, and how they are brought up to date."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from genvx.cli.ask.where import Where
from genvx.core.runs.runselect import Filter
from genvx.core.runs.runstate import LIVE
from genvx.core.wire.runoperations import MOST_RUNS, ListRuns
from genvx.errors import GenvxError, InvalidHostfile, InvalidInput, UnknownHost
from genvx.fleet.hosts import hostfile

if TYPE_CHECKING:
    from genvx.core.runs.pulled import Pulled


def origin(pulled: Pulled, run: str) -> Where:
    """The hosts from which a copy came. run: its id.

    Raises:
        InvalidHostfile: their hostfile is not there any more, has a fault, or would run commands.
    """
    way, specs = pulled.way, None
    if way.hostfile and not _is_usual(way.hostfile):
        # Nobody names it now, and the record may come from elsewhere: no command of it is run.
        try:
            specs = hostfile.load(way.hostfile, named=False)
        except InvalidHostfile as error:
            raise InvalidHostfile(f"{error}; {way.typed} pull {run} names it") from None
    return Where(
        remote=True,
        specs=specs,
        hostfile=way.hostfile or None,
        hosts=way.hosts or None,
        named=way.remote or None,
        login=way.login or None,
    )


def _is_usual(path: str) -> bool:
    """Whether this is the hostfile that is used where none is named."""
    try:
        return os.path.abspath(hostfile.find(os.environ)) == path
    except UnknownHost:
        return False


def refresh(where: Where) -> int:
    """Pull again the runs that were alive when they were copied; return the exit code: that of the
    first that failed, which does not keep the others from being pulled.
    """
    from genvx.cli.ask.runs import located_parts
    from genvx.cli.show.sending import Sending
    from genvx.cli.transfers.pulling import Pull, pulled, tell_left_out

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
        try:
            there = origin(each.pulled, each.id)
            with there.runs_fleet() as fleet, Sending("pulling from") as shown:
                for host, run in located_parts(there, fleet, each.id):
                    tell_left_out(pulled(there, host, run, asked, shown))
        except GenvxError as error:
            where.note(f"run {each.label_or_id} of {each.pulled.host}: {error}")
            code = code or error.exit_code
    return code
