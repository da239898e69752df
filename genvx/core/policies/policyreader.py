"""Takes the values of a policy out of a parsed policy.toml, and says on which line one is wrong."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Optional

from genvx.core.policies.limit import Limit
from genvx.core.quantities.amounts import parse_memory
from genvx.core.quantities.durations import parse_duration
from genvx.core.text import is_device_id, printable
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_MOST_NAMES = 4096
USER_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@+-]{0,127}\$?", re.ASCII)
_LABEL = re.compile(r"\d{1,6}(?::\d{1,4})?", re.ASCII)


class PolicyReader:
    """Takes values out of a document, and says on which line one is wrong."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()

    def fail(self, path: Sequence[str], message: str) -> InvalidInput:
        """Return the error for the value at a path; it names the line."""
        line = self._line(path)
        where = f"line {line}: " if line else ""
        shown = printable(".".join(path), 200)
        return InvalidInput(f"policy.toml: {where}{shown}: {message}")

    def _line(self, path: Sequence[str]) -> int:
        """The line of a key, as far as a simple search can tell; 0 if unknown."""
        table: list[str] = []
        for number, line in enumerate(self._lines, 1):
            # TOML parsers do not report where a value was. A search of the lines is good enough for
            # a message; if it misses a key, the line of its table is named.
            head = re.match(r"\s*\[+([^]]+)\]", line)
            if head:
                table = [part.strip(" \"'") for part in head[1].split(".")]
                if table == list(path):
                    return number
                continue
            key = re.match(r"\s*([^=#]+?)\s*=", line)
            if key and [*table, *(p.strip(" \"'") for p in key[1].split("."))] == list(path):
                return number
        return self._line(path[:-1]) if len(path) > 1 else 0

    def table(self, value: Any, path: tuple[str, ...], keys: Sequence[str]) -> Mapping[str, Any]:
        """Return a table that has none but these keys."""
        if not isinstance(value, dict):
            raise self.fail(path, "must be a table")
        for key in value:
            # A misspelt limit that was ignored would allow everything.
            if key not in keys:
                shown = printable(str(key), 60)
                raise self.fail((*path, key), f"unknown key {shown!r}; known are {', '.join(keys)}")
        return value

    def limits(self, value: Any, path: tuple[str, ...]) -> dict[str, Limit]:
        """Return the limits of users or groups, by name."""
        if not isinstance(value, dict) or len(value) > _MOST_NAMES:
            raise self.fail(path, "must be a table of tables")
        for name in value:
            if USER_NAME.fullmatch(name) is None:
                raise self.fail((*path, name), "not the name of a user or a group")
        return {
            name: self.limit(
                self.table(item, (*path, name), ("gpus", "memory", "time")), (*path, name)
            )
            for name, item in value.items()
        }

    def limit(self, table: Mapping[str, Any], path: tuple[str, ...]) -> Limit:
        """Return the limit in a table."""
        gpus = table.get("gpus")
        # TOML has booleans, and True is an int to isinstance().
        if gpus is not None and (type(gpus) is not int or not 0 <= gpus <= 1 << 20):
            raise self.fail((*path, "gpus"), "must be a whole number")
        return Limit(
            gpus,
            self.quantity(table, (*path, "memory"), parse_memory),
            self.quantity(table, (*path, "time"), parse_duration),
        )

    def quantity(
        self,
        table: Mapping[str, Any],
        path: tuple[str, ...],
        parse: Callable[[str], Any],
        example: str = '"40G" or "24h"',
    ) -> Any:
        """Return what the text under a key means to `parse`; None if the key is missing."""
        text = table.get(path[-1])
        if text is None:
            return None
        if not isinstance(text, str):
            raise self.fail(path, f"must be text, such as {example}")
        try:
            return parse(text)
        except InvalidInput as error:
            raise self.fail(path, str(error)) from None

    def flag(self, table: Mapping[str, Any], path: tuple[str, ...], *, default: bool) -> bool:
        """Return the truth value under a key, or the default if the key is missing."""
        value = table.get(path[-1], default)
        if not isinstance(value, bool):
            raise self.fail(path, "must be true or false")
        return value

    def names(
        self,
        table: Mapping[str, Any],
        path: tuple[str, ...],
        pattern: Optional[re.Pattern[str]],
        what: str,
    ) -> tuple[str, ...]:
        """Return the names under a key: of users, or, without a pattern, of devices."""
        value = table.get(path[-1], [])
        if not isinstance(value, list) or len(value) > _MOST_NAMES:
            raise self.fail(path, "must be a list")
        found = []
        for item in value:
            text = str(item) if type(item) is int and not pattern else item
            fine = isinstance(text, str) and (
                pattern.fullmatch(text) if pattern else _LABEL.fullmatch(text) or is_device_id(text)
            )
            if not fine:
                raise self.fail(path, f"not {what}: {printable(str(item), 60)!r}")
            found.append(text)
        return tuple(found)
