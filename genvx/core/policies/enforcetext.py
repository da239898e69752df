"""Reads the tables of a policy.toml that `genvx enforce` acts on.

    [enforce]
    hook = ["/usr/local/sbin/tell-people"]

    [enforce.squatters]           # on a GPU that nobody leases
    do = "end"
    grace = "5m"

    [enforce.intruders]           # on a GPU that others lease
    do = "end"
    grace = "1m"

    [enforce.memory]              # more than a share
    do = "tell"
    margin = "512M"

    [enforce.idle]                # leases that are not used
    do = "release"
    after = "2h"
    below = 5

    [enforce.exempt]
    users = ["monitoring"]
    groups = ["staff"]
    commands = ["/usr/bin/nv-hostengine"]

A rule without a table is not enforced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from genvx.core.policies.enforcement import (
    Enforcement,
    Exempt,
    IdleRule,
    Measure,
    MemoryRule,
    ProcessRule,
)
from genvx.core.policies.policyreader import USER_NAME
from genvx.core.quantities.amounts import parse_memory
from genvx.core.quantities.durations import parse_duration
from genvx.core.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from genvx.core.policies.policyreader import PolicyReader

_RULES = ("squatters", "intruders", "memory", "idle", "exempt", "hook")
_MOST_WORDS = 64


def read_enforcement(top: Mapping[str, Any], reader: PolicyReader) -> Optional[Enforcement]:
    """Take the rules out of a document; None if it has no [enforce].

    Raises:
        InvalidInput: there is a mistake; the message names the line.
    """
    if "enforce" not in top:
        return None
    at = ("enforce",)
    rules = reader.table(top["enforce"], at, _RULES)
    given = _Rules(reader, rules)
    return Enforcement(
        squatters=given.of_processes("squatters"),
        intruders=given.of_processes("intruders"),
        memory=given.memory(),
        idle=given.idle(),
        exempt=given.exempt(),
        hook=_words(reader, rules, (*at, "hook"), _MOST_WORDS, whole=False),
    )


class _Rules:
    def __init__(self, reader: PolicyReader, rules: Mapping[str, Any]) -> None:
        self._reader = reader
        self._rules = rules

    def _table(self, name: str, *keys: str) -> Optional[Mapping[str, Any]]:
        if name not in self._rules:
            return None
        return self._reader.table(self._rules[name], ("enforce", name), keys)

    def of_processes(self, name: str) -> Optional[ProcessRule]:
        table = self._table(name, "do", "grace")
        if table is None:
            return None
        default = ProcessRule()
        return ProcessRule(
            self._measure(table, name, Measure.END),
            self._quantity(table, name, "grace", default.grace, parse_duration),
        )

    def memory(self) -> Optional[MemoryRule]:
        table = self._table("memory", "do", "grace", "margin")
        if table is None:
            return None
        default = MemoryRule()
        return MemoryRule(
            self._measure(table, "memory", Measure.END),
            self._quantity(table, "memory", "grace", default.grace, parse_duration),
            self._quantity(table, "memory", "margin", default.margin, parse_memory),
        )

    def idle(self) -> Optional[IdleRule]:
        table = self._table("idle", "do", "after", "below")
        if table is None:
            return None
        default = IdleRule()
        below = table.get("below", default.below)
        if type(below) is not int or not 1 <= below <= 100:
            raise self._reader.fail(
                ("enforce", "idle", "below"), "must be a whole number of percent from 1 to 100"
            )
        return IdleRule(
            self._measure(table, "idle", Measure.RELEASE),
            self._quantity(table, "idle", "after", default.after, parse_duration),
            below,
        )

    def exempt(self) -> Exempt:
        at = ("enforce", "exempt")
        table = self._table("exempt", "users", "groups", "commands") or {}
        return Exempt(
            self._reader.names(table, (*at, "users"), USER_NAME, "a user"),
            self._reader.names(table, (*at, "groups"), USER_NAME, "a group"),
            _words(self._reader, table, (*at, "commands"), 4096, whole=True),
        )

    def _measure(self, table: Mapping[str, Any], name: str, last: Measure) -> Measure:
        text = table.get("do", Measure.TELL.value)
        if text not in (Measure.TELL.value, last.value):
            raise self._reader.fail(
                ("enforce", name, "do"), f'must be "{Measure.TELL.value}" or "{last.value}"'
            )
        return Measure(text)

    def _quantity(
        self,
        table: Mapping[str, Any],
        name: str,
        key: str,
        default: Any,
        parse: Callable[[str], Any],
    ) -> Any:
        found = self._reader.quantity(table, ("enforce", name, key), parse, '"5m" or "512M"')
        return default if found is None else found


def _words(
    reader: PolicyReader, table: Mapping[str, Any], path: tuple[str, ...], most: int, *, whole: bool
) -> tuple[str, ...]:
    """A list of texts, the first of which (whole: each) is the full path of a program."""
    words = table.get(path[-1], [])
    if not isinstance(words, list) or len(words) > most:
        raise reader.fail(path, "must be a list")
    for number, word in enumerate(words):
        if not isinstance(word, str) or "\0" in word:
            raise reader.fail(path, "must be a list of texts")
        if (whole or number == 0) and not word.startswith("/"):
            raise reader.fail(path, f"not the full path of a program: {printable(word, 60)!r}")
    return tuple(words)
