"""Tables from which values are written as plain data and read back.

    OWNER = Table(Owner, "owner", uid=integer(0, 1 << 32), name=text(64))

A table names each field of a class once, with the kind of its value. Both directions use it, so a
new field cannot be missing in one of them. Tests compare the names with those of the class.

Reading is generous, writing is strict: unknown keys belong to a newer version and are ignored, a
missing key gives the field's default, and impossible values are refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Generic, Optional, TypeVar

from genvx.core.text import printable
from genvx.core.wire.fields import MOST_DEVICES, MOST_ITEMS, MOST_NUMBER, Fields
from genvx.core.wire.plain import Malformed
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping
    from enum import Enum
    from typing import Protocol

    F = TypeVar("F")

    class Form(Protocol[F]):
        """How a value is written as plain data and read back: a Table, a Tagged or a Bare."""

        def write(self, value: F) -> dict[str, Any]:
            """Return the value as plain data."""

        def read(self, plain: Any) -> F:
            """Return the value in plain data; raise Malformed if there is none."""


T = TypeVar("T")
E = TypeVar("E", bound="Enum")

Plain = dict[str, Any]


class Kind(Generic[T]):
    """How the value of one field is written, and read from under a key."""

    def __init__(
        self,
        read: Callable[[Fields, str], T],
        write: Callable[[T], Any] = lambda value: value,
        key: str = "",
    ) -> None:
        self.read = read
        self.write = write
        self.key = key


class Table(Generic[T]):
    """The fields of a class, with their kinds.

    make: the class. what: its name in messages.
    """

    def __init__(self, make: Callable[..., T], what: str, **kinds: Kind[Any]) -> None:
        self.make = make
        self.what = what
        self.kinds: Mapping[str, Kind[Any]] = kinds
        self._rows = tuple((name, kind.key or name, kind) for name, kind in kinds.items())

    def write(self, value: T) -> Plain:
        """Return the value as plain data."""
        return {key: kind.write(getattr(value, name)) for name, key, kind in self._rows}

    def read(self, plain: Any) -> T:
        """Return the value in plain data of unknown origin.

        Raises:
            Malformed: it is not such a value.
        """
        return self.read_fields(Fields(plain, self.what))

    def read_fields(self, fields: Fields, **known: Any) -> T:
        """Read as `read` does; known: values of fields that this table does not have.

        Raises:
            Malformed: it is not such a value.
        """
        for name, key, kind in self._rows:
            # A field with a default is an attribute of its class (core/value.py). Where the key is
            # missing, the file or host is older than the field: leave it to the default.
            if fields.names(key) or not hasattr(self.make, name):
                known[name] = kind.read(fields, key)
        try:
            return self.make(**known)
        # The class checks its own fields. From outside, a value that it refuses is malformed data,
        # not a mistake of the user.
        except InvalidInput as error:
            raise Malformed(f"{self.what}: {error}") from None


def under(key: str, kind: Kind[T]) -> Kind[T]:
    """A field whose key differs from its name."""
    return Kind(kind.read, kind.write, key)


def integer(low: int = 0, high: int = MOST_NUMBER) -> Kind[int]:
    """A whole number."""
    return Kind(lambda fields, key: fields.integer(key, low, high))


def flag() -> Kind[bool]:
    """True or false."""
    return Kind(lambda fields, key: fields.flag(key))


def text(limit: int) -> Kind[str]:
    """Text for people; unprintable characters are escaped, long text is cut."""
    return Kind(lambda fields, key: fields.text(key, limit))


def exact_text(limit: int) -> Kind[str]:
    """Text that must be printable as it is: for what is compared or written back."""
    return Kind(lambda fields, key: fields.exact_text(key, limit))


def string(limit: int) -> Kind[str]:
    """Text for a program, as it is."""
    return Kind(lambda fields, key: fields.string(key, limit))


def identifier() -> Kind[str]:
    """An id that genvx has made."""
    return Kind(lambda fields, key: fields.identifier(key))


def device_id() -> Kind[str]:
    """The UUID of a device."""
    return Kind(lambda fields, key: fields.device_id(key))


def device_ids() -> Kind[tuple[str, ...]]:
    """UUIDs of devices, each once."""
    return Kind(lambda fields, key: fields.device_ids(key), list)


def texts(limit: int, most: int) -> Kind[tuple[str, ...]]:
    """Texts for people."""
    return Kind(lambda fields, key: fields.texts(key, limit, most), list)


def strings(limit: int, most: int) -> Kind[tuple[str, ...]]:
    """Texts for programs."""
    return Kind(lambda fields, key: fields.strings(key, limit, most), list)


def integers(most: int = MOST_DEVICES) -> Kind[tuple[int, ...]]:
    """Whole numbers."""
    return Kind(lambda fields, key: fields.integers(key, most), list)


def optional(kind: Kind[T]) -> Kind[Optional[T]]:
    """A value, or None."""
    return Kind(
        lambda fields, key: None if fields.raw(key) is None else kind.read(fields, key),
        lambda value: None if value is None else kind.write(value),
    )


def choice(kind: type[E], unknown: Optional[E] = None) -> Kind[E]:
    """A member of an Enum.

    unknown: stands for the words of newer versions; if None, they are refused.
    """

    def read(fields: Fields, key: str) -> E:
        word = fields.string(key, 64)
        try:
            return kind(word)
        except ValueError:
            if unknown is None:
                raise fields.wrong(key) from None
            return unknown

    return Kind(read, lambda member: member.value)


def one(table: Table[T]) -> Kind[T]:
    """A value that has a table of its own."""
    return Kind(lambda fields, key: table.read(fields.raw(key)), table.write)


def nothing() -> Kind[None]:
    """No value."""
    return Kind(lambda fields, key: None)


def many(table: Table[T], most: int = MOST_ITEMS) -> Kind[tuple[T, ...]]:
    """Several values of one table."""
    return Kind(
        lambda fields, key: fields.values(key, table.read, most),
        lambda values: [table.write(value) for value in values],
    )


def named(table: Table[T], most: int, limit: int = 128) -> Kind[Mapping[str, T]]:
    """Values of one table, by name; names are text for people."""
    return Kind(
        lambda fields, key: {
            # The keys come from outside, too, and are printed.
            printable(name, limit): table.read(item)
            for name, item in fields.mapping(key, most).items()
        },
        lambda values: {name: table.write(value) for name, value in values.items()},
    )


def named_lists(most: int, each: int) -> Kind[Mapping[str, tuple[int, ...]]]:
    """Lists of whole numbers, by name."""

    def read(fields: Fields, key: str) -> Mapping[str, tuple[int, ...]]:
        found = Fields(fields.mapping(key, most), "numbers")
        return {name: found.integers(name, each) for name in fields.mapping(key, most)}

    return Kind(read, lambda values: {name: list(each) for name, each in values.items()})


def texts_by_name(limit: int, most: int) -> Kind[Mapping[str, str]]:
    """Texts for programs, by name."""

    def read(fields: Fields, key: str) -> Mapping[str, str]:
        found = fields.mapping(key, most)
        if not all(isinstance(item, str) and len(item) <= limit for item in found.values()):
            raise fields.wrong(key)
        return found

    return Kind(read, dict)


def plain_object(most: int) -> Kind[Mapping[str, Any]]:
    """An object of JSON, as it is; most: so many keys."""
    return Kind(lambda fields, key: fields.mapping(key, most), dict)


def seconds() -> Kind[float]:
    """A duration."""

    def read(fields: Fields, key: str) -> float:
        value = fields.raw(key)
        if type(value) not in (int, float) or not 0 <= value < MOST_NUMBER:
            raise fields.wrong(key)
        return float(value)

    return Kind(read)
