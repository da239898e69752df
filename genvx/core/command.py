"""Commands that run under a hold: what a caller passes, checked before anything starts, and the
interface of every started command, wherever it runs.
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
"""Added to the signal's number, the exit code of a command that a signal has ended."""

# The names that every shell accepts: dash drops all others from the environment.
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


class Running(Protocol):
    """A command that was started under a hold.

    `stdin`, `stdout` and `stderr` are binary files where subprocess.PIPE was asked for. An exit
    code is 128 + n where signal n ended the command.
    """

    args: list[str]

    @property
    def stdin(self) -> Optional[IO[bytes]]:
        """The pipe to the command's stdin; None unless subprocess.PIPE was asked for."""

    @property
    def stdout(self) -> Optional[IO[bytes]]:
        """The pipe from the command's stdout; None unless subprocess.PIPE was asked for."""

    @property
    def stderr(self) -> Optional[IO[bytes]]:
        """The pipe from the command's stderr; None unless subprocess.PIPE was asked for."""

    @property
    def returncode(self) -> Optional[int]:
        """The command's exit code; None until `poll` or `wait` has seen its end."""

    def poll(self) -> Optional[int]:
        """Return the exit code if the command has ended, else None."""

    def wait(self, timeout: Optional[float] = None) -> int:
        """Wait until the command ends; return its exit code.

        Raises:
            subprocess.TimeoutExpired: it has not ended within `timeout` seconds.
            HostError: the connection to its host is gone.
        """

    def communicate(
        self, input: Optional[bytes] = None, timeout: Optional[float] = None
    ) -> tuple[Optional[bytes], Optional[bytes]]:
        """Write `input` to stdin, read the pipes to their end, and wait; return the output.

        Raises: as `wait`.
        """

    def signal(self, number: int) -> None:
        """Send the command a signal; does nothing if it has ended."""

    def kill(self) -> None:
        """Kill the command (SIGKILL)."""

    def close(self) -> None:
        """Close the pipes that are open."""


def words_of(command: Command) -> list[str]:
    """Return the words to execute: a list as it is; a string as a line for `sh -c`.

    Raises:
        InvalidInput: there is no word, or one has a NUL character.
    """
    words = ["sh", "-c", command] if isinstance(command, str) else list(command)
    if not words or not words[0]:
        raise InvalidInput("no command to run")
    # The kernel ends each word at its first NUL, so the command would get another word than asked.
    if any("\0" in word for word in words):
        raise InvalidInput("a word of a command cannot have a NUL character")
    return words


def require_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables if a command can be given them.

    Raises:
        InvalidInput: a name is not one that a shell accepts, or a value has a NUL character.
    """
    for name, value in variables.items():
        if not isinstance(name, str) or _VARIABLE.fullmatch(name) is None:
            raise InvalidInput(f"not the name of a variable: {printable(str(name), 60)!r}")
        if not isinstance(value, str) or "\0" in value:
            raise InvalidInput(f"variable {name}: the value must be text without a NUL character")
    return dict(variables)
