"""What is typed with --env."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable


def variables_of(env: Iterable[str] | None) -> dict[str, str]:
    """Return the variables by name; the last of the same name counts.

    Raises:
        InvalidInput: one is not NAME=VALUE, or is none that a command can have.
    """
    from genvx.core.command import require_variables

    found = {}
    for each in env or ():
        name, equals, text = each.partition("=")
        if not equals:
            raise InvalidInput("--env is NAME=VALUE")
        found[name] = text
    return require_variables(found)
