"""Whether symbolic links stay in their tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

# As many links as Linux follows in one path.
_MOST_LINKS = 40


def leads_out(name: bytes, target: bytes, links: Mapping[bytes, bytes]) -> bool:
    """Whether a link with this name and target leads out of the tree, also by way of other links.

    links: the targets of all links of the tree, by name. A link that leads nowhere stays in it; one
    that never ends counts as one that leads out.
    """
    here = name.split(b"/")[:-1]
    left = target.split(b"/")
    if target.startswith(b"/"):
        return True
    followed = 0
    while left:
        part = left.pop(0)
        if part in (b"", b"."):
            continue
        if part == b"..":
            if not here:
                return True
            here.pop()
            continue
        here.append(part)
        further = links.get(b"/".join(here))
        if further is not None:
            followed += 1
            if followed > _MOST_LINKS or further.startswith(b"/"):
                return True
            here.pop()
            left = further.split(b"/") + left
    return False


def depends(name: bytes, target: bytes, directories: Collection[bytes]) -> bool:
    """Whether it depends on what else is there where a link leads, given the directories of its
    tree: it goes up from a name that is none of them.

    Such a link stays in its tree, and leads out once another tree has put a link in place of that
    name. It matters where trees are put into a directory one after the other.
    """
    here = name.split(b"/")[:-1]
    known = True
    for part in target.split(b"/"):
        if part == b"..":
            if not here or not known:
                return True
            here.pop()
        elif part not in (b"", b"."):
            here.append(part)
            known = known and b"/".join(here) in directories
    return False
