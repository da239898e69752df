"""Which ports a tunnel connects, as a person types them."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from genvx.core.text import printable
from genvx.core.value import value
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

LOOPBACK = ("127.0.0.1", "::1")
_MOST_PORT = 65535
# Each has a socket or two; a range of ports is a mistake more often than not.
_MOST = 64


@value
class Forward:
    """Forward is a port here and a port of the host. reverse: connections come from there."""

    local: int
    remote: int
    reverse: bool = False


def require_forwards(forwards: Sequence[Forward]) -> None:
    """Check all forwards of a tunnel together.

    Raises:
        InvalidInput: there are too many, or the host would have to listen on a port twice.
    """
    if len(forwards) > _MOST:
        raise InvalidInput(f"a tunnel has {_MOST} ports at most, not {len(forwards)}")
    back = [each.remote for each in forwards if each.reverse]
    for port in back:
        if back.count(port) > 1:
            raise InvalidInput(f"the host can listen on its port {port} for one forward only")


def parse_forward(text: str, *, reverse: bool = False) -> Forward:
    """Read `8080:6006`, which is local and remote, or one number for both; with `reverse`, the
    port of the host comes first.

    Raises:
        InvalidInput: these are no ports.
    """
    first, colon, second = text.partition(":")
    one = _port(first, text)
    other = _port(second, text) if colon else one
    return Forward(other, one, True) if reverse else Forward(one, other)


def require_port(port: object) -> int:
    """Return a port that a program gives; raise InvalidInput if it is none."""
    if type(port) is not int or not 1 <= port <= _MOST_PORT:
        raise InvalidInput(f"a port is a number from 1 to {_MOST_PORT}, not {port!r}")
    return port


def require_address(text: str) -> str:
    """Return an address on which to listen; raise InvalidInput if it is none."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise InvalidInput(
            f"listen on an address of this machine, such as 0.0.0.0, not {printable(text, 60)!r}"
        ) from None


def _port(digits: str, text: str) -> int:
    # int() takes signs, spaces, underscores and the digits of other scripts, too.
    if (
        digits.isascii()
        and digits.isdigit()
        and len(digits) <= 5
        and 1 <= int(digits) <= _MOST_PORT
    ):
        return int(digits)
    raise InvalidInput(
        f"not a port: {printable(text, 40)!r}; give a number from 1 to {_MOST_PORT}, or two with a "
        "colon, as in 8080:6006"
    )
