"""What genvx answers to the code of an activated shell: lines, which the shell assigns.

An exit code other than 0 and those below says that nothing is known: the shell keeps what it has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.leases.grant import VARIABLES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from genvx.core.leases.grant import Grant

# activate: a command of its own, or other hosts; to be run without the code of the shell.
ELSEWHERE = 94
# shell-refresh: the environment is over.
ENDED = 95

# The lines before the values of the variables: the lease's file, and the mark of the prompt.
_BEFORE = 2


def answer(path: str, mark: str, grant: Grant) -> list[str]:
    """The path of the lease's file, the mark of the prompt, and the values of the variables.

    mark: empty where it stays as it is.
    """
    variables = grant.variables
    return [path, mark, *(variables[name] for name in VARIABLES)]


def for_tcsh(lines: Iterable[str]) -> list[str]:
    """The lines with something in each: tcsh drops those that are empty."""
    return [f"={line}" for line in lines]


def line_of(name: str) -> int:
    """The line, counted from 1, that has the value of a variable."""
    return _BEFORE + VARIABLES.index(name) + 1
