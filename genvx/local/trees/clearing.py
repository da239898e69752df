"""What is in a directory and not in a tree: found, and deleted by name. No link is followed."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING, Optional

from genvx.core.projects.manifest import STAGE, shown_name
from genvx.errors import InvalidInput
from genvx.local.trees.place import Place

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from typing import Callable

_STAYS = (errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY)


def extra(root: int, expected: Mapping[bytes, bool], below: bytes = b"") -> list[bytes]:
    """The names in a directory, or in one below it, that are not expected, in their order; those of
    directories end in a slash.

    root: a descriptor of the directory. expected: the names that may be there, and whether each is
    a directory. What belongs to git or to genvx is never extra, nor what cannot be read.

    Raises:
        OSError: the directory cannot be read.
    """
    found: list[bytes] = []
    stays: set[bytes] = set()
    with Place(root) as place:
        waiting = [below]
        while waiting:
            name = waiting.pop()
            try:
                with os.scandir(place.directory(name)) as entries:
                    children = [
                        (os.fsencode(each.name), each.is_dir(follow_symlinks=False))
                        for each in entries
                    ]
            except OSError as error:
                if name == below and error.errno not in (errno.ENOENT, errno.ENOTDIR):
                    raise
                stays.update((*parents(name), name))
                continue
            for child, directory in children:
                path = name + b"/" + child if name else child
                if child == b".git" or path == STAGE:
                    stays.update((*parents(path), path))
                    continue
                if expected.get(path) is not directory:
                    found.append(path + b"/" if directory else path)
                if directory:
                    waiting.append(path)
    return sorted(_without(found, stays))


def _without(names: Iterable[bytes], stays: Collection[bytes]) -> list[bytes]:
    """The names without those of directories in which something stays."""
    return [name for name in names if not (name.endswith(b"/") and name[:-1] in stays)]


def unwanted(
    directory: bytes,
    names: Iterable[bytes],
    sent: Mapping[bytes, bool],
    ignored: Optional[Callable[..., bool]] = None,
) -> list[bytes]:
    """Of the extra names of a copy of a directory, those that the directory has not.

    sent: the names that the copy gets. ignored: called with a name, and whether it is that of a
    directory; what the directory ignores stays in the copy.
    """
    going: list[bytes] = []
    stays: set[bytes] = set()
    for listed in names:
        is_directory = listed.endswith(b"/")
        name = listed.rstrip(b"/")
        # What is sent under the same name replaces it: a file in the place of a directory.
        if name not in sent and (
            os.path.lexists(os.path.join(directory, name))
            or (ignored is not None and ignored(name, directory=is_directory))
        ):
            stays.update(parents(name))
        else:
            going.append(listed)
    return _without(going, stays)


def parents(name: bytes) -> Iterable[bytes]:
    """The directories in which a name is, from the top."""
    at = name.find(b"/")
    while at >= 0:
        yield name[:at]
        at = name.find(b"/", at + 1)


def require_place(path: str, environ: Mapping[str, str]) -> None:
    """Raise InvalidInput if nothing should ever be deleted in a directory because a copy has it
    not: a home is more than a copy of something.
    """
    home = os.path.realpath(environ.get("HOME") or os.path.expanduser("~"))
    real = os.path.realpath(path)
    if home == real or home.startswith(real.rstrip("/") + "/"):
        raise InvalidInput(
            f"--delete is not for {shown_name(os.fsencode(path))}, where your home is: it deletes "
            "all that the other side does not have; name a directory below it"
        )


def remove(root: int, names: Iterable[bytes]) -> int:
    """Delete files, links and empty directories by their names, as `extra` gives them; return how
    many files and links that were. A directory in which something stays, stays.

    Raises:
        OSError: something cannot be deleted, or a link is on the way to it.
    """
    gone = 0
    with Place(root) as place:
        for name in sorted(names, reverse=True):  # what is in a directory, before it
            with contextlib.suppress(FileNotFoundError):
                parent, last = place.split(name.rstrip(b"/"))
                if not name.endswith(b"/"):
                    os.unlink(last, dir_fd=parent)
                    gone += 1
                    continue
                try:
                    os.rmdir(last, dir_fd=parent)
                except OSError as error:
                    if error.errno not in _STAYS:
                        raise
    return gone
