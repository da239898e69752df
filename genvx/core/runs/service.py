"""The service of a run: a port of its host on which the command answers."""

from __future__ import annotations

from typing import Optional

from genvx.core.text import is_printable, printable
from genvx.core.value import value
from genvx.errors import InvalidInput

MARK = "{port}"
"""What stands for the port in the words of a command."""
PORT_VARIABLES = ("PORT", "GENVX_PORT")
"""The variables in which the command finds its port."""
TAG = "serve"
"""The tag of a run that serves."""
_MOST_PORT = 65535
LONGEST_READY = 1024


@value
class Service:
    """What was asked for. port: 0 is any that is free on the host. ready: the path for which a
    GET over HTTP succeeds once it serves; empty: it serves once it takes connections.

    Raises:
        InvalidInput: a field makes no sense.
    """

    port: int = 0
    ready: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= _MOST_PORT:
            raise InvalidInput(f"--port is a port from 1 to {_MOST_PORT}, not {self.port}")
        if self.ready and not (
            self.ready.startswith("/")
            and self.ready.isascii()
            and is_printable(self.ready, LONGEST_READY)
            and " " not in self.ready
        ):
            raise InvalidInput(
                f"--ready is a path such as /health, not {printable(self.ready, 60)!r}"
            )


def with_port(words: tuple[str, ...], port: Optional[int]) -> tuple[str, ...]:
    """Return the words of a command with the port in place of each `{port}`."""
    return words if port is None else tuple(word.replace(MARK, str(port)) for word in words)
