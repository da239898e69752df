"""Forms of values that are of several classes, or of none of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from genvx.core.wire.fields import Fields
from genvx.core.wire.tables import Kind, Plain, T, Table

if TYPE_CHECKING:
    from collections.abc import Mapping


def tagged(form: Tagged[T]) -> Kind[T]:
    """A value of one of several classes."""
    return Kind(lambda fields, key: form.read(fields.raw(key)), form.write)


class Tagged(Generic[T]):
    """Values of one of several classes; a word says which.

    what: the name of the whole in messages. tables: by that word.
    """

    def __init__(self, what: str, tables: Mapping[str, Table[Any]]) -> None:
        self.what = what
        self.tables = tables
        self._words = {table.make: word for word, table in tables.items()}

    def write(self, value: T) -> Plain:
        """Return the value as plain data."""
        word = self._words[type(value)]
        return {"is": word, **self.tables[word].write(value)}

    def read(self, plain: Any) -> T:
        """Return the value in plain data of unknown origin.

        Raises:
            Malformed: it is not such a value.
        """
        fields = Fields(plain, self.what)
        table = self.tables.get(fields.string("is", 64))
        if table is None:
            raise fields.wrong("is")
        found: T = table.read_fields(fields)
        return found


class Bare(Generic[T]):
    """A lone value that is of no class of ours."""

    def __init__(self, kind: Kind[T]) -> None:
        self._kind = kind

    def write(self, value: T) -> Plain:
        """Return the value as plain data."""
        return {"value": self._kind.write(value)}

    def read(self, plain: Any) -> T:
        """Return the value in plain data of unknown origin.

        Raises:
            Malformed: it is not such a value.
        """
        return self._kind.read(Fields(plain, "the reply"), "value")
