"""What a host can be asked about runs; see operations.py. Loaded only where runs are spoken of."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Optional, Union

from genvx.core.notifying.notifier import MOST_NOTIFIERS
from genvx.core.projects.project import MOST_DIFF
from genvx.core.runs.runinfo import LogPiece, RunInfo
from genvx.core.runs.runselect import MOST_LINES, Filter
from genvx.core.text import NAME_LIMIT
from genvx.core.value import field, value
from genvx.core.wire.forms import Bare, Tagged
from genvx.core.wire.notifiercodec import NOTIFIER
from genvx.core.wire.operation import Operation, Wire
from genvx.core.wire.runcodec import (
    LOG_PIECE,
    LONGEST_PATH,
    MEETING,
    PYTHON,
    RUN,
    SPEC,
    compressed,
)
from genvx.core.wire.tables import (
    Table,
    choice,
    flag,
    integer,
    many,
    one,
    optional,
    seconds,
    string,
    strings,
    text,
)

if TYPE_CHECKING:
    from genvx.core.notifying.notifier import Notifier
    from genvx.core.projects.python import Python
    from genvx.core.runs.part import Meeting
    from genvx.core.runs.run import RunSpec

MOST_RUNS = 1000
# Bytes of a manifest that a reply has, of some hundred thousand files.
MOST_FILES = 32 << 20
_MOST_TAIL = 256 * 1024


@value
class SubmitRun(Operation[RunInfo]):
    """Start a run that outlives the connection.

    spec: what is wanted; where and when it was submitted is filled in there. patience: seconds to
    wait in line at most; None does not wait. tags: its first ones.
    """

    spec: RunSpec
    patience: Optional[float] = None
    tags: tuple[str, ...] = ()


@value
class AcceptedPart:
    """A part that waits for the others. port: of node 0's supervisor. linked: whether it is
    connected to that.
    """

    run: RunInfo
    port: int
    linked: bool


@value
class SubmitPart(Operation[AcceptedPart]):
    """Start a part of a gang: it joins the environment of its id, which the caller holds, and waits
    for DecideRun.

    meeting: where it meets the others; node 0 chooses a port.
    """

    spec: RunSpec
    meeting: Meeting
    tags: tuple[str, ...] = ()


@value
class DecideRun(Operation[RunInfo]):
    """Have a part of a gang that was accepted start, or else be gone. The first decision counts;
    replies with the run as it is then.
    """

    run: str
    start: bool


@value
class ListRuns(Operation[tuple[RunInfo, ...]]):
    """The newest runs that match, the newest first. deleted: of those in the trash. copies: also
    copies of runs of other machines.
    """

    narrowed: Filter = field(default_factory=Filter)
    most: int = MOST_RUNS
    deleted: bool = False
    copies: bool = False


@value
class FindRuns(Operation[tuple[RunInfo, ...]]):
    """The runs that may be meant by what somebody typed, among those of other hosts. deleted: of
    those in the trash. others: for root, who may end them, also living runs of other users. copies:
    also copies of runs of other machines.
    """

    wanted: str
    deleted: bool = False
    others: bool = False
    copies: bool = False


@value
class RunDetails:
    """A run, the path of its directory, the last lines of its log, and `work`: the path of the
    directory in which its command starts.

    diff, files: how its project differs from its commit, and the manifest of the project, as they
    were asked for; nothing where there are none. notifiers: with their addresses, if asked for.
    """

    run: RunInfo
    directory: str
    tail: str
    work: str = ""
    diff: bytes = b""
    files: bytes = b""
    notifiers: tuple[Notifier, ...] = ()


@value
class ShowRun(Operation[RunDetails]):
    """One run, with so many of the last lines of its log.

    diff, files, notifiers: also what RunDetails says of these.
    """

    run: str
    lines: int = 10
    diff: bool = False
    files: bool = False
    notifiers: bool = False


@value
class PythonStanding:
    """Whether an environment is there, and with what it is made; else empty."""

    there: bool
    installer: str = ""


@value
class FindPython(Operation[PythonStanding]):
    """How it stands with the environment that a run with this Python would have.

    The host replies with an error where it cannot make one.
    """

    python: Python


@value
class StopRun(Operation[RunInfo]):
    """Have a run end, with all that it has started; replies at once, with the run as it was.

    grace: seconds between SIGTERM and SIGKILL, instead of those that it was started with. force:
    SIGKILL at once.
    """

    run: str
    grace: Optional[float] = None
    force: bool = False


@value
class WithdrawRun(Operation[RunInfo]):
    """Take a waiting run out of the line of its host, to start it on another one.

    It is refused once the run has begun to prepare. Of several who ask, one is told yes.
    """

    run: str


@value
class MarkRun(Operation[RunInfo]):
    """Give a run another label (None leaves it as it is, "" removes it), or other tags."""

    run: str
    label: Optional[str] = None
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


class Disposal(str, Enum):
    """What is done with a run that is over."""

    DELETE = "delete"
    RESTORE = "restore"
    PURGE = "purge"


@value
class DisposeOfRun(Operation[RunInfo]):
    """Move a run into the trash, out of it, or delete one in the trash for good."""

    run: str
    how: Disposal


@value
class LogEnd:
    """All of the log was sent, up to the end of the run if that was to be followed."""

    run: RunInfo


LogNews = Union[RunInfo, LogPiece, LogEnd]
"""What somebody who watches a run gets, one after the other: how it is, and its log."""


@value
class WatchRun(Operation[LogNews]):
    """The log of a run from an offset on, or from its last lines on; the whole by default.

    follow: until the run has ended. log: whether the log is wanted; without it the news are only
    how the run is. reports: the pieces are of what its command reports, in place of its log.
    """

    run: str
    offset: Optional[int] = None
    lines: Optional[int] = None
    follow: bool = True
    log: bool = True
    reports: bool = False


@value
class SubmitAndWatch(Operation[LogNews]):
    """SubmitRun and then WatchRun in one: the run as it was accepted, its log from the beginning,
    and its end. The far end then waits a moment for the next call of this operation.

    spec, patience, tags: as of SubmitRun. reports: as of WatchRun.
    """

    spec: RunSpec
    patience: Optional[float] = None
    tags: tuple[str, ...] = ()
    reports: bool = False


FILTER = Table(
    Filter,
    "filter",
    states=strings(64, 64),
    tags=strings(NAME_LIMIT, 64),
    name=optional(string(NAME_LIMIT)),
    since_epoch_ns=optional(integer()),
)
DETAILS = Table(
    RunDetails,
    "run",
    run=one(RUN),
    directory=text(LONGEST_PATH),
    tail=string(_MOST_TAIL),
    work=string(LONGEST_PATH),
    diff=compressed(MOST_DIFF),
    files=compressed(MOST_FILES),
    notifiers=many(NOTIFIER, MOST_NOTIFIERS),
)
ACCEPTED = Table(AcceptedPart, "accepted part", run=one(RUN), port=integer(0, 65535), linked=flag())
LOG_NEWS: Tagged[LogNews] = Tagged(
    "news of a run",
    {"run": RUN, "piece": LOG_PIECE, "end": Table(LogEnd, "end of a log", run=one(RUN))},
)
_RUN = string(NAME_LIMIT)
_TAGS = strings(NAME_LIMIT + 1, MOST_RUNS)  # one too long is refused in words
_RUNS: Bare[tuple[RunInfo, ...]] = Bare(many(RUN, MOST_RUNS))

STANDING = Table(PythonStanding, "standing of a Python", there=flag(), installer=text(NAME_LIMIT))

WIRES = (
    Wire(
        "run-submit",
        Table(SubmitRun, "submit", spec=one(SPEC), patience=optional(seconds()), tags=_TAGS),
        RUN,
    ),
    Wire(
        "run-part",
        Table(SubmitPart, "part", spec=one(SPEC), meeting=one(MEETING), tags=_TAGS),
        ACCEPTED,
    ),
    Wire("run-decide", Table(DecideRun, "decide", run=_RUN, start=flag()), RUN),
    Wire(
        "runs",
        Table(
            ListRuns,
            "runs",
            narrowed=one(FILTER),
            most=integer(1, MOST_RUNS),
            deleted=flag(),
            copies=flag(),
        ),
        _RUNS,
    ),
    Wire(
        "run-find",
        Table(FindRuns, "find", wanted=_RUN, deleted=flag(), others=flag(), copies=flag()),
        _RUNS,
    ),
    Wire(
        "run-info",
        Table(
            ShowRun,
            "info",
            run=_RUN,
            lines=integer(0, MOST_LINES),
            diff=flag(),
            files=flag(),
            notifiers=flag(),
        ),
        DETAILS,
    ),
    Wire("python-find", Table(FindPython, "find", python=one(PYTHON)), STANDING),
    Wire(
        "run-stop",
        Table(StopRun, "stop", run=_RUN, grace=optional(seconds()), force=flag()),
        RUN,
    ),
    Wire("run-withdraw", Table(WithdrawRun, "withdraw", run=_RUN), RUN),
    Wire(
        "run-mark",
        Table(
            MarkRun,
            "mark",
            run=_RUN,
            label=optional(string(NAME_LIMIT + 1)),
            add=_TAGS,
            remove=_TAGS,
        ),
        RUN,
    ),
    Wire("run-dispose", Table(DisposeOfRun, "dispose", run=_RUN, how=choice(Disposal)), RUN),
    Wire(
        "run-watch",
        Table(
            WatchRun,
            "watch",
            run=_RUN,
            offset=optional(integer()),
            lines=optional(integer()),
            follow=flag(),
            log=flag(),
            reports=flag(),
        ),
        LOG_NEWS,
    ),
    Wire(
        "run-submit-watch",
        Table(
            SubmitAndWatch,
            "submit and watch",
            spec=one(SPEC),
            patience=optional(seconds()),
            tags=_TAGS,
            reports=flag(),
        ),
        LOG_NEWS,
    ),
)
