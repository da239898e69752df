"""Run: a command that goes on without its client, as a program has it."""

from __future__ import annotations

import math
import posixpath
import subprocess
import threading
import time
from typing import TYPE_CHECKING

from genvx.core.command import require_variables, words_of
from genvx.core.runs.runinfo import LogPiece, RunInfo
from genvx.core.runs.runstate import Held, Running, Waiting, end_of, is_over, name_of
from genvx.core.wire.runoperations import (
    MOST_LINES,
    Disposal,
    DisposeOfRun,
    FindRuns,
    LogEnd,
    MarkRun,
    ShowRun,
    StopRun,
    WatchRun,
)
from genvx.errors import InvalidInput, UnknownEnvironment, UnknownRun
from genvx.fleet.detaching import runs
from genvx.fleet.lines import lines_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from genvx.core.command import Command
    from genvx.core.wire.runoperations import LogNews
    from genvx.fleet.detaching.runs import RunHost
    from genvx.fleet.host import Hold

# How soon a run that was told to stop is asked again whether it is over.
_LOOK = 0.1


class Run:
    """Run is a command that belongs to its host: it goes on when this program ends.

    Every method may raise UnknownRun (the run was deleted) and HostError (its host could not be
    asked). Two are equal if they are the same run.
    """

    def __init__(self, host: RunHost, info: RunInfo) -> None:
        self._host = host
        self._info = info

    @property
    def id(self) -> str:
        """The id of the run, and of its environment."""
        return self._info.id

    @property
    def host(self) -> RunHost:
        """The host of the run; it prints as its name."""
        return self._host

    @property
    def name(self) -> str:
        """How the run is called: its label, else its name, else nothing."""
        return self._info.label or self._info.spec.name

    @property
    def info(self) -> RunInfo:
        """All that the host knows of the run now; each access asks the host."""
        found = self._host.answer(FindRuns(self.id))
        # A host may answer anything.
        return self._learn(next((each for each in found if each.id == self.id), None))

    @property
    def state(self) -> str:
        """The state of the run now, such as "running"; each access asks the host."""
        return name_of(self.info.state)

    @property
    def returncode(self) -> int | None:
        """The exit code of the command, 128 + n if signal n ended it; asks the host once.

        None: it has not ended, never started, or nobody knows how it ended; `state` says which.
        """
        known = self._info if _has_ended(self._info) else self.info
        end = end_of(known.state)
        return None if end is None else end.exit_code

    def wait(
        self, timeout: float | None = None, *, stop: threading.Event | None = None
    ) -> int | None:
        """Wait until the command has ended; return its `returncode`.

        A connection that is cut is made again. timeout: in seconds. stop: ends the waiting when
        set.

        Raises:
            subprocess.TimeoutExpired: it has not ended in time, or `stop` was set.
        """
        pause = _pauser(timeout, stop)
        for news in self._watch(WatchRun(self.id, log=False), pause):
            if isinstance(news, LogEnd):
                self._learn(news.run)
            elif isinstance(news, RunInfo):
                self._learn(news)
                if not _has_ended(news) and pause(0.0):
                    break
        if not _has_ended(self._info):
            raise subprocess.TimeoutExpired(list(self._info.spec.argv), timeout or 0.0)
        return self.returncode

    def log(self, lines: int | None = None) -> bytes:
        """Return the output of the command so far; lines: only so many of the last ones."""
        asked = WatchRun(self.id, lines=_most(lines), follow=False)
        news = self._watch(asked, _pauser(None, None))
        return b"".join(each.data for each in news if isinstance(each, LogPiece))

    def follow(
        self, lines: int | None = None, *, stop: threading.Event | None = None
    ) -> Iterator[bytes]:
        """Iterate over the lines of the output as they come, from the first one to the last.

        It ends with the command. A connection that is cut is made again: no line is missing, and
        none comes twice. Lines end with a newline, except for an unfinished last one; one of more
        than 1 MiB comes in parts. What the host no longer keeps is left out.

        lines: begin with so many of the last lines. stop: ends the iteration when set.
        """
        return lines_of(self.pieces(lines, stop=stop))

    def pieces(
        self, lines: int | None = None, *, stop: threading.Event | None = None
    ) -> Iterator[LogPiece]:
        """Iterate over pieces of the output as they come; see `follow`."""
        asked = WatchRun(self.id, lines=_most(lines))
        news = self._watch(asked, _pauser(None, stop))
        return (each for each in news if isinstance(each, LogPiece))

    def stop(self, *, grace: float | None = None, force: bool = False, wait: bool = True) -> None:
        """End the run with all the processes that it has started; nothing happens if it is over.

        grace: seconds between SIGTERM and SIGKILL; by default those that it was started with.
        force: SIGKILL at once. wait: return when it is over, and its devices are free.

        Raises:
            InvalidInput: the grace is no number of seconds.
        """
        if grace is not None and not (isinstance(grace, (int, float)) and 0 <= grace < math.inf):
            raise InvalidInput(f"a grace is a number of seconds, not {grace!r}")
        found = self._learn(self._host.answer(StopRun(self.id, grace, force)))
        while wait and not is_over(found.state):
            self.wait()
            found = self.info
            if not is_over(found.state):
                time.sleep(_LOOK)  # its leftovers are being ended, or it was held

    def exec(
        self,
        command: Command,
        *,
        check: bool = False,
        capture_output: bool = False,
        input: bytes | None = None,
        timeout: float | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command inside of the run: with its devices, its variables, and in its directory.

        It holds the devices like the run's own command, so they are not free before both have
        ended. cwd: counted from the directory of the run. `genvx.Hold.run` says the rest.

        Raises:
            InvalidInput: the run waits, or is over; or the command, the directory or a variable
            cannot be. subprocess.CalledProcessError, subprocess.TimeoutExpired: as of `Hold.run`.
        """
        hold, place, variables = self.enter(command, cwd, env)
        with hold:
            return hold.run(
                command,
                check=check,
                capture_output=capture_output,
                input=input,
                timeout=timeout,
                cwd=place,
                env=variables,
            )

    def enter(
        self, command: Command, cwd: str | None, env: Mapping[str, str] | None
    ) -> tuple[Hold, str, dict[str, str]]:
        """Join the environment of the run for a command; see `exec`.

        Return the hold, the directory in which the command starts, and its variables.
        """
        words = words_of(command)
        more = require_variables(env or {})
        details = self._host.answer(ShowRun(self.id, 0))
        _require_entry(self._learn(details.run))
        try:
            hold = self._host.join(self.id, command=" ".join(words))
        except UnknownEnvironment:
            _require_entry(self.info)
            raise
        own = {"GENVX_RUN_ID": self.id, "GENVX_RUN_DIR": details.directory}
        place = posixpath.join(details.work, cwd or "")
        return hold, place, {**own, **details.run.spec.variables, **more}

    def label(self, label: str) -> None:
        """Give the run another name; "" gives it its first one again.

        Raises:
            InvalidInput: it cannot be called so.
        """
        self._learn(self._host.answer(MarkRun(self.id, label)))

    def tag(self, *tags: str, remove: Sequence[str] = ()) -> None:
        """Add tags to the run, and remove others.

        Raises:
            InvalidInput: a tag cannot be like that, or there are too many.
        """
        gone = (remove,) if isinstance(remove, str) else tuple(remove)
        self._learn(self._host.answer(MarkRun(self.id, None, tags, gone)))

    def delete(self) -> None:
        """Move the run into the trash.

        Raises:
            InvalidInput: it is not over.
        """
        self._dispose(Disposal.DELETE)

    def restore(self) -> None:
        """Move the run out of the trash. Raises UnknownRun if it is not there."""
        self._dispose(Disposal.RESTORE)

    def purge(self) -> None:
        """Delete the run in the trash for good. Raises UnknownRun if it is not there."""
        self._dispose(Disposal.PURGE)

    def _dispose(self, how: Disposal) -> None:
        self._learn(self._host.answer(DisposeOfRun(self.id, how)))

    def _watch(self, asked: WatchRun, pause: Callable[[float], bool]) -> Iterator[LogNews]:
        return runs.watch(self._host, asked, pause=pause)

    def _learn(self, info: RunInfo | None) -> RunInfo:
        if info is None or info.id != self.id:
            raise UnknownRun(f"run {self.id} is no longer on {self._host.name}")
        self._info = info
        return info

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Run):
            return NotImplemented
        return (self._host.name, self.id) == (other._host.name, other.id)

    def __hash__(self) -> int:
        return hash((self._host.name, self.id))

    def __repr__(self) -> str:
        return f"<Run {self._info.label_or_id} on {self._host.name}>"


def _has_ended(run: RunInfo) -> bool:
    """Whether the command has ended; a held run is not over, but its command has."""
    return is_over(run.state) or end_of(run.state) is not None


def _require_entry(run: RunInfo) -> None:
    """Raise InvalidInput unless something can be started in the run."""
    if isinstance(run.state, (Running, Held)):
        return
    if isinstance(run.state, Waiting):
        raise InvalidInput(f"run {run.label_or_id} waits in line, and has no devices yet")
    if is_over(run.state):
        raise InvalidInput(f"run {run.label_or_id} is over ({name_of(run.state)})")
    raise InvalidInput(f"run {run.label_or_id} has not started yet ({name_of(run.state)})")


def _most(lines: int | None) -> int | None:
    if lines is not None and not (isinstance(lines, int) and 0 <= lines <= MOST_LINES):
        raise InvalidInput(f"lines are a number from 0 to {MOST_LINES}, not {lines!r}")
    return lines


def _pauser(timeout: float | None, stop: threading.Event | None) -> Callable[[float], bool]:
    """Return what waits so many seconds, and says whether the time is over or `stop` is set."""
    # NaN compares false with every time, so the waiting would never end.
    if timeout is not None and not (isinstance(timeout, (int, float)) and timeout == timeout):
        raise InvalidInput(f"a timeout is a number of seconds, not {timeout!r}")
    end = math.inf if timeout is None else time.monotonic() + timeout
    stopped = stop or threading.Event()

    def pause(seconds: float) -> bool:
        left = end - time.monotonic()
        return stopped.wait(max(0.0, min(seconds, left))) or time.monotonic() >= end

    return pause
