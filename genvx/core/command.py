"""Commands that run under a hold: what a caller passes, checked before anything starts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Union

from genvx.core.text import printable
from genvx.errors import InvalidInput

Command = Union[str, Sequence[str]]

SIGNALLED = 128
"""Added to the signal's number, the exit code of a command that a signal has ended."""

# The names that every shell accepts: dash drops all others from the environment.
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


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
