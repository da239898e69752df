"""A shell or a command inside of a live run, here or on the run's host."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from genvx.cli.ask.runs import located_parts, part_of
from genvx.core.requests.ask import Join
from genvx.core.runs.entry import entered, require_entry
from genvx.core.runs.runinfo import RunInfo
from genvx.core.runs.runstate import is_over, was_moved
from genvx.core.wire.job import Job
from genvx.core.wire.runoperations import LogEnd, WatchRun
from genvx.errors import InvalidInput, UnknownEnvironment, UnknownRun, WaitedTooLong
from genvx.shown.console import INTERRUPTED, say

if TYPE_CHECKING:
    from genvx.cli.ask.where import Where
    from genvx.fleet.fleet import Fleet


def enter_run(
    where: Where,
    fleet: Fleet,
    wanted: str,
    command: list[str] | None,
    *,
    node: int | None = None,
    patience: float | None = None,
) -> int:
    """Open a shell inside of a run, or run a command there; return the exit code.

    node: which part of a run on several hosts. patience: seconds to wait for its start; None does
    not wait.
    """
    host, run = part_of(located_parts(where, fleet, wanted), node)
    if patience is not None:
        try:
            host, run = started(where, fleet, host, run, patience)
        except KeyboardInterrupt:
            say(f"genvx: run {run.label_or_id} waits on; {_once_it_starts(where, run)}")
            return INTERRUPTED
    require(where, run)
    try:
        if where.remote:
            return _remotely(where, host, run, command)
        return _here(where, host, run, command)
    except UnknownEnvironment:
        # It has perhaps ended since we asked.
        _, now = part_of(located_parts(where, fleet, run.id), node)
        require_entry(now)
        raise


def require(where: Where, run: RunInfo) -> None:
    """Raise InvalidInput if a run cannot be entered now; its line says what to type for one
    that waits.
    """
    try:
        require_entry(run)
    except InvalidInput as error:
        if is_over(run.state) or run.pulled is not None:
            raise
        raise InvalidInput(f"{error}; {_once_it_starts(where, run)}") from None


def _once_it_starts(where: Where, run: RunInfo) -> str:
    return f"{where.typed} ssh --wait {run.id} enters it when it starts"


def started(
    where: Where, fleet: Fleet, host: Any, run: RunInfo, patience: float
) -> tuple[Any, RunInfo]:
    """Wait until a run can be entered, or is over; also on another host, if it moves."""
    from genvx.cli.runs.following import arrival
    from genvx.cli.views.log import LogView
    from genvx.fleet.detaching import runs

    view = LogView(where, host.name, terminal=False)
    end = time.monotonic() + patience

    def pause(seconds: float) -> bool:
        left = end - time.monotonic()
        if seconds:
            time.sleep(max(0.0, min(seconds, left)))
        return left <= 0

    while True:
        gone = False
        try:
            for news in runs.watch(host, WatchRun(run.id, log=False), where.note, pause):
                if isinstance(news, RunInfo):
                    run = news
                    view.take(news)
                elif isinstance(news, LogEnd):
                    run = news.run
                if _can_be_entered(run):
                    return host, run
        except UnknownRun:  # also what it left on the host from which it has moved
            gone = True
        if not gone and not was_moved(run.state):
            if is_over(run.state):
                return host, run
            raise WaitedTooLong(f"run {run.label_or_id} has not started in time, and waits on")
        place = arrival(fleet, run.id)
        if place is None:
            return host, run
        host = place
        view.moved_to(host.name)


def _can_be_entered(run: RunInfo) -> bool:
    try:
        require_entry(run)
    except InvalidInput:
        return False
    return True


def _here(where: Where, host: Any, run: RunInfo, command: list[str] | None) -> int:
    shown = " ".join(command) if command else host.shell_name
    with host.enter(run.id, command=shown) as entry:
        where.note(entered(run, host.name, entry.hold.grant))
        if command:
            return int(entry.run_command(command))
        if sys.stdin.isatty() and sys.stdout.isatty():
            return int(entry.open_shell(login=False))
        return int(entry.run_shell())


def _remotely(where: Where, host: Any, run: RunInfo, command: list[str] | None) -> int:
    from genvx.fleet import running
    from genvx.fleet.terminals.terminal import open_shell

    shown = " ".join(command or ["shell"])
    # Without a terminal there is nothing to type into: like ssh, run it on our streams.
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        job = Job(None if command is None else tuple(command), in_run=True)
        started = host.start(Join(run.id, shown), job)
        where.note(entered(run, host.name, started.grant()))
        return running.stream(host, started)
    with host.join(run.id, command=shown) as hold:
        host.require_terminal()
        where.note(entered(run, host.name, hold.grant))
        return open_shell(host, hold, prompt=host.name, command=command, in_run=True)
