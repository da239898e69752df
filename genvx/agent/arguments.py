"""What the arguments of a call say, where several operations have the same."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Optional

from genvx.core.text import printable
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from genvx.core.wire.fields import Fields

MOST = 10_000
_LONGEST_PATH = 4096


def seconds(fields: Fields) -> Optional[int]:
    """How long the environment is to last."""
    return fields.optional_integer("seconds", 1, 1 << 40)


def variables(fields: Fields) -> dict[str, str]:
    """The environment variables that the client gives the command."""
    if not fields.has("variables"):
        return {}
    from genvx.core.command import require_variables

    given = fields.raw("variables")
    if not isinstance(given, dict) or len(given) > MOST:
        raise InvalidInput(f"at most {MOST} variables")
    return require_variables(given)


def directory(fields: Fields) -> Optional[str]:
    """The directory that the command is to start in; a relative one is below the home."""
    if not fields.has("cwd"):
        return None
    path = fields.string("cwd", _LONGEST_PATH)
    if "\0" in path or not os.path.isdir(path):
        raise InvalidInput(f"no such directory: {printable(path, 200)}")
    return path


def names_command(fields: Fields) -> bool:
    return fields.has("argv") or fields.has("line")
