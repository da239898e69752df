"""A command, as it is sent to a host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from genvx.core.value import field, value
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.runs.container import Container


@value
class Job:
    """A command. argv: None for the user's shell, which reads stdin. cwd: relative to the home.

    in_run: whether it starts inside of the run whose environment it joins: with the variables of
    the run, which the host adds, and in its directory, from which cwd counts then. container: in
    which it starts, unless it is inside of a run; the shell is one of the image then.
    """

    argv: Optional[tuple[str, ...]] = None
    variables: Mapping[str, str] = field(default_factory=dict)
    cwd: Optional[str] = None
    in_run: bool = False
    container: Optional[Container] = None

    def __post_init__(self) -> None:
        if self.argv is not None and (
            not self.argv or not self.argv[0] or any("\0" in word for word in self.argv)
        ):
            raise InvalidInput("a command has at least one word, and none with a NUL")
        # The kernel ends a path at its first NUL, so another directory would be used.
        if self.cwd is not None and "\0" in self.cwd:
            raise InvalidInput("a directory has no NUL in its name")
        if self.variables:
            from genvx.core.command import require_variables

            require_variables(self.variables)
