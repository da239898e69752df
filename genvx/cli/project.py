"""The project of a run that is detached: gathered here, and sent to the hosts that lack it."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genvx.core.projects.manifest import DIRECTORY
from genvx.core.projects.project import MANY_FILES, MUCH_BYTES
from genvx.core.quantities.amounts import format_size
from genvx.core.text import printable
from genvx.errors import InvalidInput, StateError
from genvx.shown.console import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from genvx.cli.ask.where import Where
    from genvx.local.trees.project import Gathered, LocalProject

# A project in which something is changed all the time is read this often.
PROJECT_TRIES = 3


@dataclass(frozen=True)
class ProjectOptions:
    """The options for a project. directory: where it is; None if there is none. yes: send it
    without a question, however large it is.
    """

    directory: str | None = None
    follow_links: bool = False
    yes: bool = False

    def chosen(self, *, load: bool) -> ProjectOptions:
        """Return these options with the directory that .genvx.toml names, if none was typed.

        load: whether to read that file.
        """
        if self.directory is not None or not load:
            return self
        from genvx.cli.ask.defaults import project

        return ProjectOptions(project(), self.follow_links, self.yes)

    def read(self) -> LocalProject | None:
        """Read the project; None if there is none.

        Raises:
            InvalidInput: it cannot be sent, or is large and nobody confirmed it.
            ProjectChanged: a file is changed meanwhile.
        """
        if self.directory is None:
            return None
        if not self.directory:
            raise InvalidInput("--project is empty; it is a directory, as in --project .")
        from genvx.local.trees.project import Gathered

        gathered = Gathered(self.directory, follow_links=self.follow_links)
        if not self.yes:
            _confirm(gathered)
        return gathered.read(os.environ)


def _confirm(gathered: Gathered) -> None:
    """Ask whether a large project is to be sent."""
    if gathered.size <= MUCH_BYTES and gathered.files <= MANY_FILES:
        return
    large = f"the project has {gathered.files} files, {format_size(gathered.size)}"
    most = ", ".join(
        f"{name} ({files} file{'' if files == 1 else 's'}, {format_size(size)})"
        for name, size, files in gathered.largest()
    )
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InvalidInput(
            f"{large}; the largest are {most}; .genvxignore can leave them out, --yes sends all"
        )
    say(f"genvx: {large}; the largest are {most}")
    sys.stderr.write("Send it? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise InvalidInput("the run was not started; .genvxignore can leave files out")


def place_in(project: LocalProject, chdir: str) -> str:
    """Where a command starts in its copy of the project; chdir: as it was typed.

    Raises:
        InvalidInput: there is no such directory in the project.
    """
    if not chdir:
        return ""
    place = os.path.normpath(chdir)
    if place == ".":
        return ""
    name = os.fsencode(place)
    if not any(e.name == name and e.kind == DIRECTORY for e in project.manifest.entries):
        raise InvalidInput(
            f"the project has no directory {printable(chdir, 100)}; with a project, --chdir is a "
            "directory in it"
        )
    return place


@contextmanager
def sending(where: Where, trees: Sequence[Any]) -> Iterator[Callable[[Any], None] | None]:
    """Give what sends trees to a host, unless it has them; None where there are none."""
    if not trees:
        yield None
        return
    from genvx.cli.show.sending import Sending

    with Sending("sending code to") as shown:

        def ship(host: Any) -> None:
            try:
                for tree in trees:
                    host.send_tree(tree, lambda done, all_: shown.update(host.name, done, all_))
            except StateError as error:
                if where.remote:
                    raise StateError(f"{host.name}: {error}") from None
                raise

        yield ship
