"""From what a host replied to a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from genvx.core.text import printable
from genvx.core.wire.plain import Malformed
from genvx.errors import ProtocolError

if TYPE_CHECKING:
    from genvx.core.wire.tables import Form

R = TypeVar("R")


def read_reply(form: Form[R], plain: Any) -> R:
    """Read a reply into a value.

    Raises:
        ProtocolError: the reply cannot be read.
    """
    try:
        return form.read(plain)
    except Malformed as error:
        raise ProtocolError(f"the reply cannot be read: {printable(str(error), 200)}") from None
