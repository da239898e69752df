"""How a message travels to the process that sends it, with the addresses that it goes to."""

from __future__ import annotations

from genvx.core.notifying.message import Message
from genvx.core.notifying.notifier import MOST_NOTIFIERS, Event, Notifier
from genvx.core.text import COMMAND_LIMIT, NAME_LIMIT
from genvx.core.value import value
from genvx.core.wire.notifiercodec import NOTIFIER
from genvx.core.wire.tables import Table, choice, integer, many, one, optional, seconds, text, texts

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
