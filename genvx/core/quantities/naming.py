"""Errors about quantities that say which option has the wrong one."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from genvx.errors import InvalidQuantity

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def naming(option: str) -> Iterator[None]:
    """Put the name of an option before the message of an InvalidQuantity of the block."""
    try:
        yield
    except InvalidQuantity as error:
        raise InvalidQuantity(f"{option}: {error}") from None
