"""A trial, as the process that runs its sweep knows it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class Stage(StrEnum):
    """How far a trial is.

    QUEUED: it has parameters, and no run. ASKED: its run was asked for on a host, and whether that
    has it is not known yet. WAITING, RUNNING: its run does that. The others are ends.
    """

    QUEUED = "queued"
    ASKED = "asked"
    WAITING = "waiting"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    PRUNED = "pruned"
    CANCELLED = "cancelled"


# A trial must not fill our disk.
_MOST_REPORTS = 100_000
ENDS = (Stage.COMPLETED, Stage.FAILED, Stage.PRUNED, Stage.CANCELLED)


class Trial:
    """Trial is one set of parameters and what became of it.

    number: its place in the sweep, from 0. attempts: how often it was asked for; losses: how often
    its run was lost. run, host: the run of its last attempt, and the name of the host that has it.
    value: its result, or what it has reported last. step: of that. reports: how many it has made.
    why: of a failure. reason: why it waits. offset: how many bytes of its reports have been read.
    withdrawn: whether its host was asked to take its run out of the line.
    """

    def __init__(self, number: int, parameters: Mapping[str, Any]) -> None:
        self.number = number
        self.parameters = parameters
        self.stage = Stage.QUEUED
        self.attempts = 0
        self.losses = 0
        self.doubts = 0
        self.run = ""
        self.host = ""
        self.value: float | None = None
        self.step: int | None = None
        self.final = False
        self.reports = 0
        self.more: Mapping[str, Any] = {}
        self.why = ""
        self.reason = ""
        self.seconds: float | None = None
        self.exit_code: int | None = None
        self.offset = 0
        self.pruned_at: int | None = None
        self.stopping = False
        self.withdrawn = False

    @property
    def is_over(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self.stage in ENDS

    @property
    def is_out(self) -> bool:
        """Whether a host has its run, or may have it."""
        return self.stage in (Stage.ASKED, Stage.WAITING, Stage.RUNNING)

    @property
    def keeps_reports(self) -> bool:
        """Whether its last report is written down. Its end has the last value in any case."""
        return self.reports <= _MOST_REPORTS

    @property
    def waiting_line(self) -> str:
        """What people are told when it stands in line."""
        why = f": {self.reason}" if self.reason else ""
        return f"trial {self.number} waits in line on {self.host}{why}"

    def __repr__(self) -> str:
        return f"<Trial {self.number} {self.stage.value}>"
