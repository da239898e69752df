"""How notifiers are stored and sent, with what must stay secret."""

from __future__ import annotations

from genvx.core.notifying.notifier import LONGEST_WORD, MOST_NOTIFIERS, MOST_WORDS, Notifier, Way
from genvx.core.text import NAME_LIMIT
from genvx.core.value import value
from genvx.core.wire.tables import Table, choice, exact_text, many, seconds, strings

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
