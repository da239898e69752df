"""Typed values from plain data of unknown origin: the checks that every codec uses.

The data may come from a hostile user or host. So every length has a limit, ids have a shape, and
text for people is made printable here, once, for all that print it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar

from genvx.core.text import is_device_id, is_identifier, is_printable, printable
from genvx.core.wire.plain import Malformed

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")

# JSON has numbers of any size. Times in ns and sizes in bytes stay below 2**63, and arithmetic with
# a number of a million digits is slow.
MOST_NUMBER = 1 << 63
MOST_ITEMS = 100_000
MOST_DEVICES = 4096


class Fields:
    """Takes typed values out of plain data; its errors name the wrong key.

    The methods that return a value raise Malformed if it is missing or impossible.
    """

    def __init__(self, plain: Any, what: str) -> None:
        if not isinstance(plain, dict):
            raise Malformed(f"{what} is not an object")
        self._plain: Mapping[str, Any] = plain
        self._what = what

    def raw(self, key: str) -> Any:
        """Return the value under a key, unchecked."""
        try:
            return self._plain[key]
        except KeyError:
            raise Malformed(f"{self._what} has no {key}") from None

    def wrong(self, key: str) -> Malformed:
        """Return the error for a key whose value is impossible."""
        return Malformed(f"{self._what} has an impossible {key}")

    def names(self, key: str) -> bool:
        """Whether the key is present, even with null."""
        return key in self._plain

    def has(self, key: str) -> bool:
        """Whether the key is present and not null."""
        return self._plain.get(key) is not None

    def integer(self, key: str, low: int = 0, high: int = MOST_NUMBER) -> int:
        """Return a whole number from `low` to `high`."""
        value = self.raw(key)
        # isinstance would let true and false pass as 1 and 0.
        if type(value) is not int or not low <= value <= high:
            raise self.wrong(key)
        return value

    def optional_integer(self, key: str, low: int = 0, high: int = MOST_NUMBER) -> Optional[int]:
        """Return a whole number; None if the key is missing or null."""
        return self.integer(key, low, high) if self.has(key) else None

    def flag(self, key: str) -> bool:
        """Return true or false."""
        value = self.raw(key)
        if type(value) is not bool:
            raise self.wrong(key)
        return value

    def string(self, key: str, limit: int) -> str:
        """Return text of at most `limit` characters as it is: for a program, not for a terminal."""
        value = self.raw(key)
        if not isinstance(value, str) or len(value) > limit:
            raise self.wrong(key)
        return value

    def text(self, key: str, limit: int) -> str:
        """Return text for people, made printable and cut to `limit` characters."""
        return printable(self.string(key, MOST_NUMBER), limit)

    def optional_text(self, key: str, limit: int) -> Optional[str]:
        """Return text for people; None if the key is missing or null."""
        return self.text(key, limit) if self.has(key) else None

    def exact_text(self, key: str, limit: int) -> str:
        """Return text that is printable as it is, of at most `limit` characters."""
        value = self.string(key, limit)
        if not is_printable(value, limit):
            raise self.wrong(key)
        return value

    def identifier(self, key: str) -> str:
        """Return an id of a lease or an environment."""
        value = self.string(key, 64)
        if not is_identifier(value):
            raise self.wrong(key)
        return value

    def device_id(self, key: str) -> str:
        """Return the UUID of a device."""
        value = self.string(key, 128)
        if not is_device_id(value):
            raise self.wrong(key)
        return value

    def items(self, key: str, limit: int = MOST_ITEMS) -> list[Any]:
        """Return a list of at most `limit` items, which are unchecked."""
        value = self.raw(key)
        if not isinstance(value, list) or len(value) > limit:
            raise self.wrong(key)
        return value

    def values(
        self, key: str, decode: Callable[[Any], T], limit: int = MOST_ITEMS
    ) -> tuple[T, ...]:
        """Return a list of at most `limit` items, each decoded by `decode`."""
        return tuple(decode(item) for item in self.items(key, limit))

    def mapping(self, key: str, limit: int) -> Mapping[str, Any]:
        """Return an object of at most `limit` keys; keys and values are unchecked."""
        value = self.raw(key)
        if not isinstance(value, dict) or len(value) > limit:
            raise self.wrong(key)
        return value

    def texts(self, key: str, limit: int, most: int) -> tuple[str, ...]:
        """Return at most `most` texts for people, each made printable and cut to `limit`
        characters.
        """
        found = []
        for item in self.items(key, most):
            if not isinstance(item, str):
                raise self.wrong(key)
            found.append(printable(item, limit))
        return tuple(found)

    def strings(self, key: str, limit: int, most: int) -> tuple[str, ...]:
        """Return texts as they are: for programs, never for a terminal."""
        items = self.items(key, most)
        if not all(isinstance(item, str) and len(item) <= limit for item in items):
            raise self.wrong(key)
        return tuple(items)

    def integers(self, key: str, most: int) -> tuple[int, ...]:
        """Return at most `most` whole numbers."""
        items = self.items(key, most)
        if not all(type(item) is int and 0 <= item <= MOST_NUMBER for item in items):
            raise self.wrong(key)
        return tuple(items)

    def device_ids(self, key: str) -> tuple[str, ...]:
        """Return UUIDs of devices, each once."""
        found = self.items(key, MOST_DEVICES)
        if not all(isinstance(item, str) and is_device_id(item) for item in found):
            raise self.wrong(key)
        if len(set(found)) != len(found):
            raise self.wrong(key)
        return tuple(found)
