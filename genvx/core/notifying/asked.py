"""What people type and write of notifiers: `--notify`, and `[notify]` of config.toml.

[notify]
always = ["me"]               # what run --detach and sweep take without --notify

[notify.me]
mail = "ann@example.org"
events = ["ended", "idle"]
idle = "30m"

[notify.team]
slack = "https://hooks.slack.com/services/..."

[notify.desk]
command = ["/home/ann/bin/told", "--quiet"]
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Optional

from genvx.core.notifying.notifier import EVENTS, MOST_NOTIFIERS, Notifier, Way, made
from genvx.core.quantities.durations import parse_duration
from genvx.core.text import printable
from genvx.core.value import field, value
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NOTHING = "none"
"""What is typed for no notifier at all, also none of `always`."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,31}", re.ASCII)
_WAYS = tuple(way.value for way in Way)
_FORMS = "command:PATH, https://..., slack:https://..., mail:ADDRESS"
_MOST_NAMED = 256


@value
class Configured:
    """The notifiers of a config.toml. always: names of those that are taken unasked."""

    named: Mapping[str, Notifier] = field(default_factory=dict)
    always: tuple[str, ...] = ()

    def chosen(self, typed: Optional[Sequence[str]]) -> tuple[Notifier, ...]:
        """Return the notifiers that were typed, by name or as they are; None takes `always`.

        Raises:
            InvalidInput: one of them is none.
        """
        texts = self.always if typed is None else tuple(typed)
        if NOTHING in texts:
            if len(texts) > 1:
                raise InvalidInput(f"--notify {NOTHING} goes with no other --notify")
            return ()
        if len(texts) > MOST_NOTIFIERS:
            raise InvalidInput(f"at most {MOST_NOTIFIERS} notifiers")
        found = [self._one(text) for text in texts]
        # Typed twice is once.
        return tuple(dict.fromkeys(found))

    def _one(self, text: str) -> Notifier:
        if text in self.named:
            return self.named[text]
        inline = typed_notifier(text)
        if inline is not None:
            return inline
        if _NAME.fullmatch(text):
            known = f"; it has {', '.join(self.named)}" if self.named else ""
            raise InvalidInput(
                f"--notify: no notifier {text!r} in config.toml{known}; or type {_FORMS}"
            )
        raise InvalidInput(
            f"--notify is the name of a notifier, or {_FORMS}; a line for a shell goes into a "
            "script: command:PATH"
        )


def typed_notifier(text: str) -> Optional[Notifier]:
    """Return the notifier that is written out in a text; None if it is of no such form."""
    prefix, _, rest = text.partition(":")
    try:
        if prefix in ("https", "http"):
            return made(Way.WEBHOOK, (text,))
        if prefix in (Way.COMMAND.value, Way.SLACK.value, Way.MAIL.value) and rest:
            return made(Way(prefix), (rest,))
    except InvalidInput as error:
        raise InvalidInput(f"--notify: {error}") from None
    return None


def read_config(document: Mapping[str, Any], source: str) -> Configured:
    """Take the notifiers out of a parsed config.toml. source: its name in messages.

    Raises:
        InvalidInput: there is a mistake.
    """
    return _Reader(source).read(document)


class _Reader:
    def __init__(self, source: str) -> None:
        self._source = source

    def read(self, document: Mapping[str, Any]) -> Configured:
        for key in document:
            if key != "notify":
                raise self._fail(f"unknown key {printable(key, 40)!r}; known is notify")
        table = document.get("notify", {})
        if not isinstance(table, dict) or len(table) > _MOST_NAMED:
            raise self._fail("notify must be a table")
        named = {}
        for key, item in table.items():
            if key == "always":
                continue
            if _NAME.fullmatch(key) is None or key in (NOTHING, *_WAYS):
                raise self._fail(f"notify.{printable(key, 40)} cannot be the name of a notifier")
            named[key] = self._notifier(key, item)
        always = self._texts(table, "always", "notify")
        for name in always:
            if name not in named:
                raise self._fail(f"notify.always: there is no [notify.{printable(name, 40)}]")
        return Configured(named, always)

    def _notifier(self, name: str, item: Any) -> Notifier:
        at = f"notify.{name}"
        if not isinstance(item, dict):
            raise self._fail(f"{at} must be a table")
        for key in item:
            if key not in (*_WAYS, "events", "idle"):
                known = ", ".join((*_WAYS, "events", "idle"))
                raise self._fail(f"{at}: unknown key {printable(key, 40)!r}; known are {known}")
        ways = [way for way in _WAYS if way in item]
        if len(ways) != 1:
            raise self._fail(f"{at} needs one of {', '.join(_WAYS)}")
        way = Way(ways[0])
        if way is Way.COMMAND:
            target = self._texts(item, way.value, at)
        elif isinstance(item[way.value], str):
            target = (item[way.value],)
        else:
            raise self._fail(f"{at}.{way.value} must be text")
        try:
            return made(
                way,
                target,
                name,
                events=self._texts(item, "events", at) if "events" in item else None,
                idle=self._seconds(item, at),
            )
        except InvalidInput as error:
            raise self._fail(f"{at}: {error}") from None

    def _seconds(self, item: Mapping[str, Any], at: str) -> Optional[float]:
        if "idle" not in item:
            return None
        if not isinstance(item["idle"], str):
            raise self._fail(f'{at}.idle must be text, such as "30m"')
        return parse_duration(item["idle"])

    def _texts(self, table: Mapping[str, Any], key: str, at: str) -> tuple[str, ...]:
        words = table.get(key, [])
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            example = f'["{EVENTS[0]}"]' if key == "events" else '["..."]'
            raise self._fail(f"{at}.{key} must be a list of texts, such as {example}")
        return tuple(words)

    def _fail(self, message: str) -> InvalidInput:
        return InvalidInput(f"{self._source}: {message}")
