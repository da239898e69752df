"""What Slurm says of its jobs, read. Everything in it comes from outside."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from genvx.core.text import printable
from genvx.errors import CloudError, GenvxError
from genvx.fleet.hosts.hostnames import parse_names

if TYPE_CHECKING:
    from collections.abc import Iterable

# For squeue: the id, the state, the time that is left, its nodes, what we noted, and at the end the
# reason, which may have any character.
FORMAT = "%i|%T|%L|%N|%k|%r"
_ID = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)
_WORD = re.compile(r"[A-Z_]{1,40}", re.ASCII)
_TIME = re.compile(
    r"(?:(?:(?P<days>[0-9]{1,6})-)?(?P<hours>[0-9]{1,3}):)?(?P<minutes>[0-9]{1,3})"
    r":(?P<seconds>[0-9]{2})|UNLIMITED|NOT_SET|INVALID",
    re.ASCII,
)
_WAITING = frozenset(
    {
        *("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED"),
        *("RESV_DEL_HOLD", "SPECIAL_EXIT"),
    }
)
_HELD = frozenset({"RUNNING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING", "STAGE_OUT"})
# With these a job never starts, however long one waits.
_NEVER = {
    "PartitionTimeLimit": "time is more than the partition allows",
    "PartitionNodeLimit": "nodes are more than the partition allows",
    "BadConstraints": "no node is as it has to be",
    "InvalidAccount": "the account is not valid",
    "InvalidQOS": "the qos is not valid",
    "AccountNotAllowed": "the partition does not take the account",
    "QOSNotAllowed": "the partition does not take the qos",
    "AssocMaxWallDurationPerJobLimit": "time is more than the account allows",
    "QOSMaxWallDurationPerJobLimit": "time is more than the qos allows",
    "DependencyNeverSatisfied": "it depends on a job that has failed",
}


@dataclass(frozen=True)
class Job:
    """A job of Slurm. left: the time that it has left, as Slurm writes it; one that waits has all
    of it. note: what was noted when it was asked for. reason: why it waits, or has ended.
    """

    id: int
    state: str
    left: str
    nodes: tuple[str, ...]
    note: str
    reason: str

    @property
    def waits(self) -> bool:
        """Whether it has no nodes yet."""
        return self.state in _WAITING

    @property
    def held(self) -> bool:
        """Whether it has its nodes, and commands may start there."""
        return self.state in _HELD and not self.over

    @property
    def over(self) -> bool:
        """Whether its time is over, and Slurm has not ended it yet: that may take half a minute, or
        for ever (OverTimeLimit). No step begins any more.
        """
        return self.state in _HELD and self.left in ("INVALID", "0:00")

    @property
    def ends(self) -> bool:
        """Whether Slurm is ending what runs on its nodes, which nobody else has yet."""
        return self.state == "COMPLETING"

    @property
    def live(self) -> bool:
        """Whether it has not ended."""
        return self.waits or self.held

    @property
    def seconds_left(self) -> float | None:
        """The seconds until Slurm ends it; None if there is no limit, or it has no nodes."""
        found = _TIME.fullmatch(self.left) if self.held else None
        if found is None or found["minutes"] is None:
            return None
        days, hours, minutes, seconds = (int(each or 0) for each in found.groups())
        return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)

    @property
    def never(self) -> str:
        """Why it will never start; empty if it may."""
        return _NEVER.get(self.reason, "") if self.waits else ""

    @property
    def why(self) -> str:
        """Its state and the reason, as people read them."""
        named = self.reason not in ("", "None", "(null)")
        state = f"{self.state}, with its time over" if self.over else self.state
        return f"{state} ({self.reason})" if named else state


def read_jobs(lines: Iterable[str]) -> tuple[Job, ...]:
    """Read what squeue prints with FORMAT, the job that counts first: one that has its nodes before
    one that waits, and of these the oldest; then those that have ended, or whose time is over, the
    newest first.

    Raises:
        CloudError: a line is none of squeue's.
    """
    found = [_job(line) for line in lines if line.strip()]
    return tuple(
        sorted(
            found, key=lambda job: (not job.held, not job.waits, job.id if job.live else -job.id)
        )
    )


def _job(line: str) -> Job:
    parts = line.strip().split("|", 5)
    if len(parts) != 6:
        _odd(line)
    number, state, left, nodes, note, reason = parts
    if not (_ID.fullmatch(number) and _WORD.fullmatch(state) and _TIME.fullmatch(left)):
        _odd(line)
    return Job(
        int(number), state, left, nodes_of(nodes), printable(note, 80), printable(reason, 100)
    )


def _odd(line: str) -> None:
    raise CloudError(f"squeue says what cannot be read: {printable(line, 100)!r}")


def nodes_of(text: str) -> tuple[str, ...]:
    """Return the names in a list of nodes such as "gpu[01-03,7],big1".

    Raises:
        CloudError: it is none.
    """
    if text in ("", "(null)", "None assigned"):
        return ()
    try:
        return tuple(spec.address for spec in parse_names(text, "the nodes of a job"))
    except GenvxError as error:
        raise CloudError(f"Slurm's list of nodes cannot be read: {error}") from None


def complaint(said: str) -> str:
    """Return what a program of Slurm complains about, on one line.

    The last line has what became of it. The ones before may have what was wrong: what the site has
    to say of a job comes there, and the last is "Unspecified error" then.
    """
    found = []
    for line in said.splitlines():
        text = re.sub(r"^(?:sbatch|squeue|scancel|scontrol|srun): (?:error: |fatal: )?", "", line)
        text = text.strip().removeprefix("Batch job submission failed: ")
        if text:
            found.append(printable(text, 200))
    return "; ".join(dict.fromkeys(found[-3:])) or "it said nothing"
