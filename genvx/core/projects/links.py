"""Whether symbolic links stay in their tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

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
