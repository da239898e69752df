"""Which files differ between trees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from genvx.core.projects.manifest import DIRECTORY

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from genvx.core.projects.manifest import Manifest


def differing_files(
    trees: Sequence[Manifest],
) -> Mapping[bytes, tuple[Optional[Hashable], ...]]:
    """Return the files and links that differ between trees: by name, what each tree has under it,
    None where there is none. Only what is equal in two trees is equal here.
    """
    known = [
        {
            entry.name: (entry.kind, entry.mode, entry.digests, entry.target)
            for entry in tree.entries
            if entry.kind != DIRECTORY
        }
        for tree in trees
    ]
    names = sorted({name for files in known for name in files})
    found = {name: tuple(files.get(name) for files in known) for name in names}
    return {name: each for name, each in found.items() if len(set(each)) > 1}
