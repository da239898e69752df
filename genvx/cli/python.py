"""The Python of a run that is detached: what was asked for, and what travels for it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genvx.core.projects.python import Python, chosen
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genvx.local.trees.project import LocalProject


@dataclass(frozen=True)
class PythonOptions:
    """The options for the Python of a run. python: as for --python; None for the usual one. setup:
    a line for bash. wheels: a directory here. extras: names.
    """

    python: str | None = None
    setup: str = ""
    wheels: str | None = None
    extras: Sequence[str] = ()

    def loaded(self, *, load: bool) -> PythonOptions:
        """Return these options, with those of .genvx.toml where they were not typed.

        load: whether to read that file.
        """
        if not load:
            return self
        from genvx.cli.ask.defaults import python

        found = python()
        return PythonOptions(
            self.python if self.python is not None else found.get("python"),
            self.setup or found.get("setup", ""),
            self.wheels if self.wheels is not None else found.get("wheels"),
            self.extras or found.get("extra", ()),
        )

    def read(self, project: LocalProject | None) -> tuple[Python | None, list[Any]]:
        """Return the Python of a run, and the trees that its host needs for it.

        Raises:
            InvalidInput: an option makes no sense, or a file of the project does not.
            ProjectChanged: a file is changed meanwhile.
        """
        asked = chosen("auto" if self.python is None else self.python)
        if asked != "auto":
            given = [
                word
                for word, value in (("--wheels", self.wheels is not None), ("--extra", self.extras))
                if value
            ]
            if given:
                raise InvalidInput(f"{given[0]} goes with --python auto")
            return (asked if isinstance(asked, Python) else None), []
        if project is None:
            given = [
                word
                for word, value in (
                    ("--python auto", self.python is not None),
                    ("--wheels", self.wheels is not None),
                    ("--extra", self.extras),
                )
                if value
            ]
            if given:
                raise InvalidInput(f"{given[0]} needs a project: add --project DIR")
            return None, []
        typed = self.python is not None or self.wheels is not None or bool(self.extras)
        from genvx.local.python.travelling import python_for

        return python_for(project, os.environ, extras=self.extras, wheels=self.wheels, typed=typed)
