"""How notifiers and messages are stored and sent, with what must stay secret."""

from __future__ import annotations

from genvx.core.notifying.message import Message
from genvx.core.notifying.notifier import (
    LONGEST_WORD,
    MOST_NOTIFIERS,
    MOST_WORDS,
    Event,
    Notifier,
    Way,
)
from genvx.core.text import COMMAND_LIMIT, NAME_LIMIT
from genvx.core.value import value
from genvx.core.wire.tables import (
    Table,
    choice,
    exact_text,
    integer,
    many,
    one,
    optional,
    seconds,
    strings,
    text,
    texts,
)

NOTIFIER = Table(
    Notifier,
    "notifier",
    way=choice(Way),
    target=strings(LONGEST_WORD, MOST_WORDS),
    label=exact_text(2 * NAME_LIMIT),
    events=strings(NAME_LIMIT, MOST_NOTIFIERS),
    idle=seconds(),
)


@value
class Notifiers:
    """The notifiers of a run or of a sweep, in a file that only its owner can read."""

    notifiers: tuple[Notifier, ...] = ()


NOTIFIERS = Table(Notifiers, "notifiers", notifiers=many(NOTIFIER, MOST_NOTIFIERS))

MESSAGE = Table(
    Message,
    "message",
    event=choice(Event),
    kind=text(NAME_LIMIT),
    host=text(256),
    id=text(NAME_LIMIT),
    name=text(NAME_LIMIT),
    user=text(NAME_LIMIT),
    state=text(NAME_LIMIT),
    exit_code=optional(integer(0, 255)),
    seconds=optional(seconds()),
    devices=texts(NAME_LIMIT, 10_000),
    why=text(300),
    left=optional(seconds()),
    at=integer(),
    command=text(COMMAND_LIMIT),
)


@value
class Dispatch:
    """One message, and where it goes."""

    message: Message
    notifiers: tuple[Notifier, ...]


DISPATCH = Table(
    Dispatch, "dispatch", message=one(MESSAGE), notifiers=many(NOTIFIER, MOST_NOTIFIERS)
)
