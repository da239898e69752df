"""Tables from which values are written as plain data and read back.

    OWNER = Table(Owner, "owner", uid=integer(0, 1 << 32), name=text(64))

A table names each field of a class once, with the kind of its value. Both directions come from it,
so a field that is added to one of them cannot be missing in the other (tests compare the names with
the class's).

Reading is generous, writing is strict: unknown keys belong to a newer version and are passed over,
a missing key gives the field's default, and impossible values do not pass.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Callable, Generic, Optional, TypeVar

from genvx.core.text import printable
from genvx.core.wire.fields import MOST_DEVICES, MOST_ITEMS, MOST_NUMBER, Fields, Malformed
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping
    from enum import Enum
    from typing import Protocol

    F = TypeVar("F")

    class Form(Protocol[F]):
        """How a value is written as plain data and read back: a Table, a Tagged or a Bare."""

        def write(self, value: F) -> dict[str, Any]: ...

        def read(self, plain: Any) -> F: ...


T = TypeVar("T")
E = TypeVar("E", bound="Enum")

Plain = dict[str, Any]


class Kind(Generic[T]):
    """How the value of one field is written, and how it is read from under a key."""

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
        """The value as plain data."""
        return {key: kind.write(getattr(value, name)) for name, key, kind in self._rows}

    def read(self, plain: Any) -> T:
        """The value in plain data of unknown origin.

        Raises:
            Malformed: it is none.
        """
        return self.read_fields(Fields(plain, self.what))

    def read_fields(self, fields: Fields, **known: Any) -> T:
        """As `read`; known: the fields of the class that this table does not have.

        Raises:
            Malformed: it is none.
        """
        for name, key, kind in self._rows:
            # Only a field without a default is no attribute of the class.
            if fields.names(key) or not hasattr(self.make, name):
                known[name] = kind.read(fields, key)
        try:
            return self.make(**known)
        except InvalidInput as error:
            raise Malformed(f"{self.what}: {error}") from None


def under(key: str, kind: Kind[T]) -> Kind[T]:
    """A field whose key is not its name."""
    return Kind(kind.read, kind.write, key)


def integer(low: int = 0, high: int = MOST_NUMBER) -> Kind[int]:
    """A whole number."""
    return Kind(lambda fields, key: fields.integer(key, low, high))


def flag() -> Kind[bool]:
    """True or false."""
    return Kind(lambda fields, key: fields.flag(key))


def text(limit: int) -> Kind[str]:
    """Text for people; what cannot be printed is escaped, what is too long is cut."""
    return Kind(lambda fields, key: fields.text(key, limit))


def exact_text(limit: int) -> Kind[str]:
    """Text that is refused if it cannot be printed as it is."""
    return Kind(lambda fields, key: fields.exact_text(key, limit))


def string(limit: int) -> Kind[str]:
    """Text for a program, as it is."""
    return Kind(lambda fields, key: fields.string(key, limit))


def binary(limit: int) -> Kind[bytes]:
    """Bytes as they are, in base64. limit: characters of that."""

    def read(fields: Fields, key: str) -> bytes:
        try:
            return base64.b64decode(fields.string(key, limit), validate=True)
        except ValueError:
            raise fields.wrong(key) from None

    return Kind(read, lambda data: base64.b64encode(data).decode("ascii"))


def identifier() -> Kind[str]:
    """An id that genvx has made up."""
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
    """A member of an Enum. unknown: stands for words of a newer version; without it they do not
    pass.
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


def tagged(form: Tagged[T]) -> Kind[T]:
    """A value of one of several classes."""
    return Kind(lambda fields, key: form.read(fields.raw(key)), form.write)


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
    """Values of one table by name; names are text for people."""
    return Kind(
        lambda fields, key: {
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


def seconds() -> Kind[float]:
    """A duration."""

    def read(fields: Fields, key: str) -> float:
        value = fields.raw(key)
        if type(value) not in (int, float) or not 0 <= value < MOST_NUMBER:
            raise fields.wrong(key)
        return float(value)

    return Kind(read)


class Tagged(Generic[T]):
    """Values of one of several classes; a word says of which.

    what: the name of the whole in messages. tables: by the word.
    """

    def __init__(self, what: str, tables: Mapping[str, Table[Any]]) -> None:
        self.what = what
        self.tables = tables
        self._words = {table.make: word for word, table in tables.items()}

    def write(self, value: T) -> Plain:
        """The value as plain data."""
        word = self._words[type(value)]
        return {"is": word, **self.tables[word].write(value)}

    def read(self, plain: Any) -> T:
        """The value in plain data of unknown origin.

        Raises:
            Malformed: it is none.
        """
        fields = Fields(plain, self.what)
        table = self.tables.get(fields.string("is", 64))
        if table is None:
            raise fields.wrong("is")
        found: T = table.read_fields(fields)
        return found


class Bare(Generic[T]):
    """A value for which there is no class of ours, alone."""

    def __init__(self, kind: Kind[T]) -> None:
        self._kind = kind

    def write(self, value: T) -> Plain:
        """The value as plain data."""
        return {"value": self._kind.write(value)}

    def read(self, plain: Any) -> T:
        """The value in plain data of unknown origin.

        Raises:
            Malformed: it is none.
        """
        return self._kind.read(Fields(plain, "the reply"), "value")
