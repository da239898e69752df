"""A run as its host shows it, and pieces of its log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from genvx.core.value import value
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from genvx.core.runs.debugport import OpenPort
    from genvx.core.runs.pulled import Pulled
    from genvx.core.runs.run import RunSpec
    from genvx.core.runs.runstate import RunState


@value
class RunInfo:
    """A run as its host shows it now.

    note: a line for people about its state. label, tags: what people called it later. log_bytes:
    the size of its log. deleted: whether it is in the trash. directory: its path on its host.
    open_port: its debug port, while that is open. pulled: where it came from, if this is a copy of
    a run of another machine; its state is that of the moment in which it was copied.
    reported: the last line that its command has reported; empty if there is none.
    """

    spec: RunSpec
    state: RunState
    note: str = ""
    label: str = ""
    tags: tuple[str, ...] = ()
    log_bytes: int = 0
    deleted: bool = False
    directory: str = ""
    open_port: Optional[OpenPort] = None
    pulled: Optional[Pulled] = None
    reported: str = ""

    @property
    def id(self) -> str:
        """The id of the run and of its environment."""
        return self.spec.id

    @property
    def rank(self) -> int:
        """Its place in a run on several hosts; 0 for a run on one."""
        return 0 if self.spec.part is None else self.spec.part.rank

    @property
    def asked_as(self) -> str:
        """What its host is asked for: its id. A copy of a part has its rank behind it, because
        there may be copies of other parts beside it.
        """
        if self.pulled is None or self.spec.part is None:
            return self.id
        return f"{self.id}.{self.rank}"

    @property
    def label_or_id(self) -> str:
        """What people are shown for it: the id, and how it is called."""
        name = self.label or self.spec.name
        return f"{self.id} ({name})" if name else self.id

    def require_here(self, act: str) -> None:
        """Raise InvalidInput if this is a copy, which cannot be acted on. act: the verb to type
        where the run is, such as "runs stop".
        """
        if self.pulled is not None:
            raise InvalidInput(
                f"this machine has only a copy of run {self.label_or_id} of {self.pulled.host}; "
                f"for the run itself: {self.pulled.way.typed} {act} {self.id}"
            )

    @property
    def age_key(self) -> tuple[int, str]:
        """The key that sorts runs of all hosts, oldest first."""
        # The wall clock, for CLOCK_BOOTTIME cannot be compared between hosts or boots.
        return (self.spec.submitted.epoch_ns, self.id)


@value
class LogPiece:
    """Bytes of a log. at: the offset of the first. missing: how many before it were freed."""

    at: int
    data: bytes
    missing: int = 0
