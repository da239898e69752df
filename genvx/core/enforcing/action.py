"""One thing that is done to somebody who breaks a rule."""

from __future__ import annotations

from enum import Enum
from typing import Optional

from genvx.core.quantities.ages import format_duration
from genvx.core.text import printable
from genvx.core.value import value


class Rule(str, Enum):
    """The rules of [enforce] in policy.toml."""

    SQUATTERS = "squatters"
    INTRUDERS = "intruders"
    MEMORY = "memory"
    IDLE = "idle"


class Kind(str, Enum):
    """What is done."""

    TELL = "tell"
    TERM = "term"
    KILL = "kill"
    RELEASE = "release"


@value
class Action:
    """What is done to whom, and why.

    uid, pid, starttime: from the kernel. pid is 0 where it is about an environment or a user.
    devices: labels. why: words after the process or the environment. left: seconds until the next
    step; None if there is none.
    """

    kind: Kind
    rule: Rule
    uid: int
    user: str
    devices: tuple[str, ...]
    why: str
    pid: int = 0
    starttime: int = 0
    command: str = ""
    environment: str = ""
    name: str = ""
    left: Optional[float] = None

    @property
    def subject(self) -> str:
        """Whom it is about, in words."""
        if self.environment:
            name = printable(self.name, 60)
            label = f"{name} ({self.environment})" if name else self.environment
            return f"environment {label}"
        program = self.command.partition(" ")[0].rpartition("/")[2]
        return f"process {self.pid} ({printable(program, 40)})"

    @property
    def line(self) -> str:
        """The line that the user's terminals show."""
        return f"genvx: {self.subject} {self.why}; {self._then}"

    @property
    def _then(self) -> str:
        if self.kind is Kind.TERM:
            return "it is asked to end now (SIGTERM)"
        if self.kind is Kind.KILL:
            return "it is killed now (SIGKILL)"
        if self.kind is Kind.RELEASE:
            return "its GPUs are released now"
        if self.left is None:
            asked = {
                Rule.IDLE: "please release them",
                Rule.MEMORY: "please use less",
            }
            return asked.get(self.rule, "please end it, or take a lease")
        when = format_duration(max(1, round(self.left)))
        if self.rule is Rule.IDLE:
            return f"its GPUs are released in {when} unless they are used"
        return f"it is ended in {when}"


@value
class Done:
    """An action, and what became of it; empty if it was only decided."""

    action: Action
    result: str = ""
