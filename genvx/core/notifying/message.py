"""What people are told, as a line of text and as facts for programs.

Users choose names and commands, so nothing of them is to be evaluated. Each fact is printable, on
one line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from genvx.core.notifying.notifier import Event
from genvx.core.quantities.ages import format_duration
from genvx.core.text import COMMAND_LIMIT, NAME_LIMIT, printable
from genvx.core.value import value

if TYPE_CHECKING:
    from collections.abc import Mapping

_VARIABLE = "GENVX_NOTIFY_"


@value
class Message:
    """One message about one event.

    kind: what it is about: "run", "environment", "sweep", or "test". host: where that is. seconds:
    how long it took or lasts. devices: labels. why: a few words, such as the reason of a stop.
    left: seconds until its time is over. at: when, in seconds since the epoch. command: for
    programs on the same machine only, because a command may have a password in it.
    """

    event: Event
    kind: str
    host: str
    id: str = ""
    name: str = ""
    user: str = ""
    state: str = ""
    exit_code: Optional[int] = None
    seconds: Optional[float] = None
    devices: tuple[str, ...] = ()
    why: str = ""
    left: Optional[float] = None
    at: int = 0
    command: str = ""

    @property
    def text(self) -> str:
        """The message as one line."""
        where = f" on {printable(self.host, 100)}" if self.host else ""
        if self.event is Event.TEST:
            return f"genvx: a test message{where}"
        name = printable(self.name, NAME_LIMIT)
        who = f"{name} ({self.id})" if name else self.id
        return f"genvx: {self.kind} {who} {self._did}{where}{self._on_devices}{self._rest}"

    @property
    def _did(self) -> str:
        if self.event is Event.TURN:
            return "has its GPUs" + self._after("after {} in line")
        if self.event is Event.ENDING:
            return f"ends in {format_duration(max(1, round(self.left or 0)))}"
        if self.event is Event.IDLE:
            if self.seconds is None:
                return "does not use its GPUs"
            return "has not used its GPUs" + self._after("for {}")
        code = "" if self.exit_code is None else f" with exit code {self.exit_code}"
        state = "ended" if self.state == "held" else printable(self.state, 60) or "ended"
        return f"{state}{code}{self._after('after {}')}"

    def _after(self, words: str) -> str:
        if self.seconds is None:
            return ""
        return " " + words.format(format_duration(round(self.seconds, 1)))

    @property
    def _on_devices(self) -> str:
        return f", GPU {', '.join(self.devices)}" if self.devices else ""

    @property
    def _rest(self) -> str:
        return f": {printable(self.why, 300)}" if self.why else ""

    @property
    def key(self) -> str:
        """The same for each attempt to send this message, so that a receiver can tell doubles."""
        return f"{self.id or self.kind}-{self.event.value}-{self.at}"

    def facts(self) -> Mapping[str, Any]:
        """Return the facts of the message, as the JSON of a webhook has them."""
        return {
            "text": self.text,
            "event": self.event.value,
            "key": self.key,
            "kind": self.kind,
            "id": self.id or None,
            "name": printable(self.name, NAME_LIMIT) or None,
            "user": printable(self.user, 64) or None,
            "host": printable(self.host, 256),
            "epoch_seconds": self.at,
            "state": printable(self.state, 60) or None,
            "exit_code": self.exit_code,
            "seconds": None if self.seconds is None else round(self.seconds, 1),
            "devices": [printable(device, 40) for device in self.devices],
            "why": printable(self.why, 300) or None,
            "seconds_left": None if self.left is None else round(self.left),
        }

    def variables(self) -> dict[str, str]:
        """Return the facts as the variables of a command; a fact that is missing is empty."""
        found = {}
        for key, fact in self.facts().items():
            words = ",".join(fact) if isinstance(fact, list) else fact
            found[_VARIABLE + key.upper()] = "" if words is None else str(words)
        found[f"{_VARIABLE}COMMAND"] = printable(self.command, COMMAND_LIMIT)
        return found

    def slack(self) -> Mapping[str, Any]:
        """Return the message in the form that Slack takes."""
        # There <!channel> in the name of a run would call everybody.
        text = self.text
        for character, escape in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
            text = text.replace(character, escape)
        return {"text": text}
