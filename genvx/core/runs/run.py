"""Runs: what was asked for, and how a command ended.

A run is an environment with a record; both have the same id.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Optional

from genvx.core.escalation import GRACE
from genvx.core.text import NAME_LIMIT, require_name
from genvx.core.value import field, replace, value
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.notifying.notifier import Notifier
    from genvx.core.projects.project import Project
    from genvx.core.projects.python import Python
    from genvx.core.requests.requirements import Requirements
    from genvx.core.runs.debugport import DebugPort
    from genvx.core.runs.part import Part
    from genvx.core.runs.service import Service
    from genvx.core.runs.trial import Trial

MOST_TAGS = 32
MOST_RETRIES = 1000
# Written in place of "for ever", which is no number in JSON.
MOST_PATIENCE = 10 * 365 * 86400.0
# With less, a log would lose most of its lines to the blocks of its file system.
LEAST_LOG = 64 * 1024


class HoldWhen(str, Enum):
    """After which ends a run keeps its devices and its directory for inspection."""

    ALWAYS = "always"
    ON_FAILURE = "on-failure"


@value
class Moment:
    """A point in time on a host.

    epoch_ns: by the host's wall clock, for people. boottime_ns: of CLOCK_BOOTTIME, for durations;
    comparable only within one boot.
    """

    epoch_ns: int
    boottime_ns: int

    def seconds_until(self, later: Moment) -> float:
        """Return the seconds from this moment to a later one of the same boot."""
        return max(0, later.boottime_ns - self.boottime_ns) / 1e9


@value
class RunSpec:
    """What was asked for; it never changes.

    id: made up by its submitter. argv: the words of the command. cwd: where it starts, counted
    from the home, or from the top of its project; empty is the run's own directory. variables:
    on top of the environment's. seconds: how long it may last. hold: seconds for which devices
    and directory stay after the end. retries: how often it starts again after a failure. grace:
    seconds between SIGTERM and SIGKILL. log_limit: bytes of its log that are kept. tty: whether
    it runs in a terminal. notifiers: where people are told of it. submitter: user and
    host that asked, for people. machine: the id of the host that it belongs to, and host its
    name. restarted: the id of the run that it repeats. patience: seconds that it waits in line
    at most; None did not wait. stays: the hosts were chosen by its submitter, so it does not
    move to another by itself. part: its place in a gang. debug_port: an SSH server for this run
    only; that of a gang is at its first part. project: the code of which it gets a copy. python:
    the Python that its command finds. setup: a line for bash that runs before the command, in the
    same shell. trial: of which sweep it is a trial, and with which
    parameters. service: that it serves on a port of its host.

    Raises:
        InvalidInput: a field makes no sense.
    """

    id: str
    argv: tuple[str, ...]
    requirements: Requirements
    machine: str
    host: str
    submitted: Moment
    name: str = ""
    cwd: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    seconds: Optional[int] = None
    hold: Optional[int] = None
    hold_when: HoldWhen = HoldWhen.ALWAYS
    retries: int = 0
    grace: float = GRACE
    log_limit: Optional[int] = None
    tty: bool = False
    notifiers: tuple[Notifier, ...] = ()
    submitter: str = ""
    version: str = ""
    restarted: str = ""
    patience: Optional[float] = None
    stays: bool = False
    part: Optional[Part] = None
    debug_port: Optional[DebugPort] = None
    project: Optional[Project] = None
    python: Optional[Python] = None
    setup: str = ""
    trial: Optional[Trial] = None
    service: Optional[Service] = None

    def __post_init__(self) -> None:
        if not self.argv or not self.argv[0]:
            raise InvalidInput("no command to run")
        if any("\0" in word for word in (*self.argv, self.cwd, self.setup)):
            raise InvalidInput("a NUL character cannot be in a command or in a path")
        require_name(self.name)
        if not 0 <= self.retries <= MOST_RETRIES:
            raise InvalidInput(f"--retries is from 0 to {MOST_RETRIES}, not {self.retries}")
        if self.log_limit is not None:
            require_log_limit(self.log_limit)

    @property
    def stored(self) -> RunSpec:
        """The same as its record has it, in which the diff of its project and the addresses of its
        notifiers are files of their own.
        """
        stored = self
        if self.notifiers:
            stored = replace(stored, notifiers=tuple(each.public for each in self.notifiers))
        if self.project is not None and self.project.diff:
            stored = replace(stored, project=replace(self.project, diff=b""))
        return stored


def require_log_limit(size: int) -> int:
    """Return the size, or raise InvalidInput if a log cannot be kept as short as that."""
    if size < LEAST_LOG:
        raise InvalidInput(f"--log-limit is {LEAST_LOG // 1024}K at least")
    return size


def require_tags(tags: tuple[str, ...]) -> tuple[str, ...]:
    """Return the tags, or raise InvalidInput that says what is wrong with them."""
    if len(tags) > MOST_TAGS:
        raise InvalidInput(f"a run has at most {MOST_TAGS} tags")
    for tag in tags:
        if not tag or len(tag) > NAME_LIMIT or not tag.isprintable() or "," in tag:
            raise InvalidInput(f"a tag has 1 to {NAME_LIMIT} printable characters, without a comma")
    return tags


@value
class Usage:
    """The resources that the last attempt of a run has used, in seconds and bytes; None where
    unknown.

    memory: the peak of all its processes together, as far as it was seen. gpu_memory: the peak of
    its processes on a single device. gpu_utilization: percent of its devices by its processes, on
    average.
    """

    user: Optional[float] = None
    system: Optional[float] = None
    memory: Optional[int] = None
    gpu_memory: Optional[int] = None
    gpu_utilization: Optional[int] = None


@value
class End:
    """How a command ended: by itself with `code`, or by `signal`."""

    started: Moment
    ended: Moment
    code: Optional[int] = None
    signal: Optional[int] = None
    usage: Usage = field(default_factory=Usage)

    def __post_init__(self) -> None:
        # One of the two, so that no reader has to guess what a record with both, or none, means.
        if (self.code is None) == (self.signal is None):
            raise InvalidInput("a command ends with an exit code or by a signal")

    @property
    def exit_code(self) -> int:
        """The exit code as shells report it: 128 + the signal's number if a signal ended the
        command.
        """
        return 128 + self.signal if self.signal is not None else self.code or 0

    @property
    def seconds(self) -> float:
        """How long the command ran."""
        return self.started.seconds_until(self.ended)
