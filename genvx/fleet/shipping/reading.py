"""The project of a run: read here, whatever host its run is on, and sent to hosts that lack it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeVar

from genvx.core.projects.manifest import DIRECTORY
from genvx.core.projects.python import Python, chosen
from genvx.core.text import printable
from genvx.errors import InvalidInput, ProjectChanged, StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from genvx.core.projects.manifest import Manifest
    from genvx.fleet.shipping.shipment import DirectoryShipment, Sent, Shipment

T = TypeVar("T")

# A project in which something is changed all the time is read this often.
_TRIES = 3


def read(
    directory: str,
    *,
    follow_links: bool = False,
    everything: bool = False,
    confirm: Callable[[str], object] = lambda large: None,
) -> DirectoryShipment:
    """Read the project in a directory.

    follow_links: send what is behind links that lead out, instead of refusing them. everything:
    also what is ignored. confirm: called with a line about a project that is large, or a home;
    it may raise.

    Raises:
        InvalidInput: it cannot be sent. ProjectChanged: a file is changed meanwhile.
    """
    # Imported here: most runs have no project.
    from genvx.local.trees.project import Gathered

    if _has_home(directory):
        confirm(
            f"{printable(directory, 300)} has your home in it, with its keys and passwords; a "
            "project is mostly a directory below it"
        )
    gathered = Gathered(directory, follow_links=follow_links, everything=everything)
    if gathered.large:
        confirm(gathered.large)
    return gathered.read(os.environ)


def _has_home(directory: str) -> bool:
    """Whether a directory is the home of its user, or above that."""
    home = os.path.realpath(os.path.expanduser("~"))
    place = os.path.realpath(os.path.expanduser(directory))
    return os.path.commonpath((home, place)) == place


def python_of(
    project: Shipment | None,
    asked: str | None,
    *,
    wheels: str | None = None,
    extras: Sequence[str] = (),
) -> tuple[Python | None, list[Shipment]]:
    """Return the Python of a run, and what its host has to have for it; None for the host's own.

    project: as `read` has read it. asked: as for --python; None for the usual one. wheels: a
    directory with all packages. extras: of the project.

    Raises:
        InvalidInput: these make no sense, or a file of the project does not. ProjectChanged: one is
        changed meanwhile.
    """
    found = chosen("auto" if asked is None else asked)
    given = {"--wheels": wheels is not None, "--extra": bool(extras)}
    typed = [word for word, is_given in given.items() if is_given]
    if found != "auto":
        if typed:
            raise InvalidInput(f"{typed[0]} goes with --python auto")
        return (found if isinstance(found, Python) else None), []
    if project is None:
        if asked is not None or typed:
            word = typed[0] if typed else "--python auto"
            raise InvalidInput(f"{word} needs a project: add --project DIR")
        return None, []
    from genvx.local.python.travelling import python_for

    local: Any = project  # what `read` returns
    python, trees = python_for(
        local, os.environ, extras=extras, wheels=wheels, typed=asked is not None or bool(typed)
    )
    sent: list[Any] = trees
    return python, sent


def until_unchanged(start: Callable[[], T], tell: Callable[[str], object] = lambda line: None) -> T:
    """Read a project and start its run; again if a file is changed meanwhile, three times in all.

    tell: called with a line before it is read again.

    Raises:
        ProjectChanged: the last time a file was changed, too.
    """
    for _ in range(_TRIES - 1):
        try:
            return start()
        except ProjectChanged as error:
            tell(f"{error}; reading it again")
    return start()


def place_in(manifest: Manifest, directory: str) -> str:
    """Return where a command starts in its copy of a project. directory: as it was typed.

    Raises:
        InvalidInput: there is no such directory in the project.
    """
    place = os.path.normpath(directory) if directory else "."
    if place == ".":
        return ""
    name = os.fsencode(place)
    if not any(each.name == name and each.kind == DIRECTORY for each in manifest.entries):
        raise InvalidInput(
            f"the project has no directory {printable(directory, 100)}; with a project, the "
            "directory of the command is one of it"
        )
    return place


def shipping(
    trees: Sequence[Shipment], sent: Callable[[Any], Sent] = lambda host: lambda done, total: None
) -> Callable[[Any], None] | None:
    """Return what sends trees to a host, but for those that it has; None where there are none.

    sent: returns, for a host, what is called with how much has been sent.
    """
    if not trees:
        return None

    def ship(host: Any) -> None:
        try:
            for tree in trees:
                host.send_tree(tree, sent(host))
        except StateError as error:
            raise StateError(f"{host.name}: {error}") from None

    return ship
