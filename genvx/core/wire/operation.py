"""What an operation is, and how it travels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from genvx.core.wire.tables import Form, Table

R = TypeVar("R")


class Operation(Generic[R]):
    """Something that a host is asked. R: what it replies."""


class Wire(Generic[R]):
    """How an operation travels.

    name: what it is called there. table: of its fields. reply: the form of what the far end says.
    """

    def __init__(self, name: str, table: Table[Any], reply: Form[R]) -> None:
        self.name = name
        self.table = table
        self.reply = reply
