"""Commands that run under a hold: what a caller hands over, checked before anything starts, and
what every started command can do, wherever it runs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import IO, Optional, Protocol, Union

from genvx.core.text import printable
from genvx.errors import InvalidInput

Command = Union[str, Sequence[str]]
# As in subprocess: None, subprocess.PIPE, subprocess.DEVNULL, a descriptor or an open file.
Stream = Union[None, int, IO[bytes]]

SIGNALLED = 128
"""A command that a signal has ended has this plus the signal's number as its exit code."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


class Running(Protocol):
    """A command that was started under a hold.

    `stdin`, `stdout` and `stderr` are binary files where subprocess.PIPE was asked for. An exit
    code is 128 + n where signal n ended the command.
    """

    args: list[str]

    @property
    def stdin(self) -> Optional[IO[bytes]]: ...
    @property
    def stdout(self) -> Optional[IO[bytes]]: ...
    @property
    def stderr(self) -> Optional[IO[bytes]]: ...
    @property
    def returncode(self) -> Optional[int]:
        """The exit code; None until `poll` or `wait` has seen the end."""

    def poll(self) -> Optional[int]:
        """The exit code if it has ended, else None."""

    def wait(self, timeout: Optional[float] = None) -> int:
        """Wait until it ends; return its exit code.

        Raises:
            subprocess.TimeoutExpired: it has not ended within `timeout` seconds.
            HostError: the connection to its host is gone.
        """

    def communicate(
        self, input: Optional[bytes] = None, timeout: Optional[float] = None
    ) -> tuple[Optional[bytes], Optional[bytes]]:
        """Write `input` to its stdin, read its pipes to their end, and wait; return what it
        wrote.

        Raises: as `wait`.
        """

    def signal(self, number: int) -> None:
        """Send it a signal; a command that has ended gets none."""

    def kill(self) -> None:
        """End it without waiting for it to agree."""

    def close(self) -> None:
        """Close the pipes that are open."""


def words_of(command: Command) -> list[str]:
    """The words to execute: those of a list as they are; a string is a line for `sh -c`.

    Raises:
        InvalidInput: there is no word, or one with a NUL character.
    """
    words = ["sh", "-c", command] if isinstance(command, str) else list(command)
    if not words or not words[0]:
        raise InvalidInput("no command to run")
    if any("\0" in word for word in words):
        raise InvalidInput("a word of a command cannot have a NUL character")
    return words


def require_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """Return environment variables that a command can be given.

    Raises:
        InvalidInput: a name that no shell would take, or a value with a NUL character.
    """
    for name, value in variables.items():
        if not isinstance(name, str) or _VARIABLE.fullmatch(name) is None:
            raise InvalidInput(f"not the name of a variable: {printable(str(name), 60)!r}")
        if not isinstance(value, str) or "\0" in value:
            raise InvalidInput(f"variable {name}: the value must be text without a NUL character")
    return dict(variables)
