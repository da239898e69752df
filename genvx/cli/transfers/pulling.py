"""Copying what a run has made to this machine, with a progress line: among its runs, or into a
directory.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any

from genvx.cli.transfers.clearing import confirm
from genvx.core.projects.manifest import shown_name
from genvx.core.quantities.amounts import format_size
from genvx.core.runs.pulled import Pulled
from genvx.core.text import printable
from genvx.core.value import value
from genvx.core.wire.treeoperations import PullRun
from genvx.errors import InvalidInput
from genvx.fleet.shipping.reading import until_unchanged
from genvx.local.runs.bringing import Copy
from genvx.local.runs.taking import extra_files, landing_of
from genvx.shown.console import say

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from genvx.cli.ask.where import Where
    from genvx.cli.show.sending import Sending
    from genvx.core.projects.plan import Known, Landed
    from genvx.core.runs.runinfo import RunInfo
    from genvx.core.wire.treeoperations import Pulling
    from genvx.local.trees.landing import Landing


@value
class Pull:
    """The options of genvx pull.

    directory: where to; None: among the runs of this machine. bare: just the files. delete: what
    the run does not have any more. yes: without a question. only_say: write nothing.
    """

    directory: str | None = None
    only: tuple[str, ...] = ()
    everything: bool = False
    bare: bool = False
    delete: bool = False
    yes: bool = False
    only_say: bool = False


class Got:
    """What came of a run. directory: where it is. landed: how much. gone: the names that were
    deleted, or would be. left_out: what was not copied, in words.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.landed: Landed | None = None
        self.gone: list[bytes] = []
        self.left_out: tuple[str, ...] = ()


def pulled(where: Where, host: Any, run: RunInfo, asked: Pull, shown: Sending) -> Got:
    """Copy a run, or a part of one, as it is now.

    Raises: as fleet.shipping.fetching.fetch. InvalidInput: it cannot be copied to there, or
    somebody said no.
    """
    if asked.directory is None:
        return _among_runs(where, host, run, asked, shown)
    return _into(host, run, asked, asked.directory, shown)


def _among_runs(where: Where, host: Any, run: RunInfo, asked: Pull, shown: Sending) -> Got:
    came_from = Pulled(
        host.name,
        time.time_ns(),
        absolute(where),
        only=asked.only,
        everything=asked.everything,
        label=run.label,
        tags=run.tags,
    )
    if asked.only_say:
        copy = Copy(os.environ, run, came_from)
        got = Got(copy.path)
        with contextlib.ExitStack() as stack:
            if os.path.isdir(copy.path):
                stack.enter_context(copy)
            landing = stack.enter_context(copy.landing(only_say=True))
            return _fetched(host, run, asked, landing, got, copy.unwanted, shown)
    with Copy(os.environ, run, came_from) as copy:
        copy.begin()
        got = Got(copy.path)
        with copy.landing() as landing:
            _fetched(host, run, asked, landing, got, copy.unwanted, shown)
        copy.finish(got.gone)
        return got


def _into(host: Any, run: RunInfo, asked: Pull, directory: str, shown: Sending) -> Got:
    got = Got(directory)
    landing = landing_of(
        directory, os.environ, bare=asked.bare, delete=asked.delete, only_say=asked.only_say
    )

    def choose(known: Known) -> Sequence[bytes]:
        gone = extra_files(landing, known, asked.only, bare=asked.bare)
        if not asked.only_say:
            confirm(gone, printable(directory, 300), yes=asked.yes)
        return gone

    with landing:
        return _fetched(host, run, asked, landing, got, choose, shown)


def _fetched(
    host: Any,
    run: RunInfo,
    asked: Pull,
    landing: Landing,
    got: Got,
    choose: Callable[[Known], Sequence[bytes]],
    shown: Sending,
) -> Got:
    def noted(known: Known) -> Sequence[bytes]:
        got.gone = list(choose(known))
        return got.gone

    among_runs = asked.directory is None
    question = PullRun(
        run.asked_as, asked.only, asked.everything, asked.bare, asked.delete, among_runs
    )

    def fetch() -> tuple[Pulling, Landed]:
        found: tuple[Pulling, Landed] = host.pull(
            question, landing, lambda done, total: shown.update(host.name, done, total), noted
        )
        return found

    told, got.landed = until_unchanged(fetch)
    got.left_out = told.left_out
    return got


def absolute(where: Where) -> Any:
    """How the hosts were named, in a way that means the same in another directory."""
    from genvx.core.value import replace
    from genvx.fleet.hosts import hostfile

    way = where.way
    if way.hostfile or not (way.remote or way.hosts):
        found = way.hostfile or hostfile.find(os.environ)
        way = replace(way, hostfile=os.path.abspath(os.path.expanduser(found)))
    return way


def require_elsewhere(run: RunInfo) -> None:
    """Raise InvalidInput because a run of this machine is to be copied to where it is."""
    raise InvalidInput(
        f"run {run.label_or_id} is on this machine, in {printable(run.directory, 300)}; give DEST "
        "to copy its files"
    )


def summary(host: str, run: RunInfo, got: Got, asked: Pull, *, remote: bool) -> list[str]:
    """What was done, or would be, in lines. remote: whether the host is named."""
    landed = got.landed
    assert landed is not None
    many = f"{landed.changed} file{'' if landed.changed == 1 else 's'}"
    size = f" ({format_size(landed.size)})" if landed.size else ""
    place = f" from {host}" if remote else ""
    into = f"{many}{size} of run {run.label_or_id}{place} into {printable(got.directory, 300)}"
    if asked.only_say:
        gone = f", and delete {landed.deleted}" if got.gone else ""
        return [*(f"delete  {shown_name(name)}" for name in got.gone), f"Would pull {into}{gone}"]
    gone = f", and deleted {landed.deleted} there" if got.gone else ""
    return [f"Pulled {into}{gone}"]


def tell_left_out(got: Got) -> None:
    """Name what was not copied, a line each."""
    for line in got.left_out:
        say(f"genvx: not copied: {line}")
