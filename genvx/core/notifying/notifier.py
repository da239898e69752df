"""A notifier: where a message goes, and about what.

Whoever knows the address of a webhook can write there, so an address is a secret. It is in the
`target`, which no `repr` shows; everything that is printed or stored for people has the `label`.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING

from genvx.core.text import NAME_LIMIT, is_printable, printable
from genvx.core.value import replace, value
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_NOTIFIERS = 16
MOST_WORDS = 64
LONGEST_WORD = 4096
IDLE_SECONDS = 3600.0

_LONGEST_ADDRESS = 254
# No dash in front: sendmail would take it for an option.
_MAIL = r"[A-Za-z0-9_][A-Za-z0-9._%+-]{0,63}(?:@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,187}[A-Za-z0-9])?)?"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Way(str, Enum):
    """How a message is sent."""

    COMMAND = "command"
    WEBHOOK = "webhook"
    SLACK = "slack"
    MAIL = "mail"


class Event(str, Enum):
    """What a message is about.

    ENDED: a command has ended, or a sweep. TURN: devices were granted after a wait in line. ENDING:
    the time of a run is nearly over. IDLE: devices are held and not used. TEST: nothing.
    """

    ENDED = "ended"
    TURN = "turn"
    ENDING = "ending"
    IDLE = "idle"
    TEST = "test"


EVENTS = (Event.ENDED.value, Event.TURN.value, Event.ENDING.value, Event.IDLE.value)
"""The words of the events that people choose from."""


@value
class Notifier:
    """Where messages go.

    target: the words of a command, one address of the web, or one of mail; empty where it is
    withheld. label: what people see of it. events: words of EVENTS. idle: seconds without use of
    its devices after which a run is idle.
    """

    way: Way
    target: tuple[str, ...]
    label: str
    events: tuple[str, ...] = EVENTS
    idle: float = IDLE_SECONDS

    def __post_init__(self) -> None:
        if self.target:
            require_target(self.way, self.target)
        if not is_printable(self.label, 2 * NAME_LIMIT):
            raise InvalidInput("the label of a notifier cannot be printed")
        if not self.events or not {*self.events} <= {*EVENTS}:
            raise InvalidInput(f"events are {', '.join(EVENTS)}")
        if not 1 <= self.idle <= 365 * 86400:
            raise InvalidInput("idle is from 1s to 365d")

    def __repr__(self) -> str:
        return f"Notifier({self.label!r})"

    @property
    def public(self) -> Notifier:
        """The same without what must stay secret: only for people to look at."""
        return replace(self, target=())

    def wants(self, event: Event) -> bool:
        """Whether messages about an event go there."""
        return event is Event.TEST or event.value in self.events


def made(way: Way, target: Sequence[str], name: str = "", **more: object) -> Notifier:
    """Make a notifier, with a label that says how and where, but gives no secret away.

    Raises:
        InvalidInput: it cannot be; the message does not have the address of a webhook.
    """
    words = tuple(target)
    require_target(way, words)
    if way in (Way.WEBHOOK, Way.SLACK):
        what = f"{way.value} at {printable(address_of(words[0])[1], 60)}"
    elif way is Way.MAIL:
        what = f"mail:{words[0]}"
    else:
        what = f"command:{printable(words[0], 80)}"
    options: dict[str, object] = {key: each for key, each in more.items() if each is not None}
    label = printable(f"{name} ({what})" if name else what, 2 * NAME_LIMIT)
    return Notifier(way, words, label, **options)  # type: ignore[arg-type]


def require_target(way: Way, target: tuple[str, ...]) -> None:
    """Raise InvalidInput, without the address of a webhook, if messages cannot go there."""
    if way is Way.COMMAND:
        _require_command(target)
    elif len(target) != 1:
        raise InvalidInput(f"a notifier of {way.value} has one address")
    elif way is Way.MAIL:
        if len(target[0]) > _LONGEST_ADDRESS or re.fullmatch(_MAIL, target[0]) is None:
            raise InvalidInput(f"not an address of mail: {printable(target[0], 60)!r}")
    else:
        address_of(target[0])


def _require_command(words: tuple[str, ...]) -> None:
    if not 1 <= len(words) <= MOST_WORDS:
        raise InvalidInput(f"a command has 1 to {MOST_WORDS} words")
    if any(len(word) > LONGEST_WORD or "\0" in word for word in words):
        raise InvalidInput(f"a word of a command has at most {LONGEST_WORD} characters, and no NUL")
    if not words[0].startswith(("/", "~/")):
        raise InvalidInput(
            f"not the full path of a program: {printable(words[0], 60)!r}; it begins with / or ~/, "
            "and a line for a shell goes into a script"
        )


def address_of(url: str) -> tuple[str, str, int, str]:
    """Return the scheme, the host, the port and the rest of the address of a webhook.

    Raises:
        InvalidInput: it is none, or would be sent where others can read it.
    """
    # Imported here: only those who have a webhook need it.
    from urllib.parse import urlsplit

    if not (
        0 < len(url) <= LONGEST_WORD and url.isascii() and url.isprintable() and " " not in url
    ):
        raise InvalidInput("the address of a webhook has printable ASCII characters only")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise InvalidInput("the address of a webhook cannot be read") from None
    if parts.scheme not in ("https", "http") or not host:
        raise InvalidInput("a webhook begins with https:// and the name of a host")
    if parts.username is not None or parts.password is not None:
        raise InvalidInput("the address of a webhook has no user and no password")
    if parts.scheme == "http" and host not in _LOOPBACK:
        raise InvalidInput("a webhook needs https://; over http:// others could read its address")
    rest = parts.path or "/"
    if parts.query:
        rest += f"?{parts.query}"
    return parts.scheme, host, port or (443 if parts.scheme == "https" else 80), rest
