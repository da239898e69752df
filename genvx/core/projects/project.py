"""The project of a run, as its record has it."""

from __future__ import annotations

from genvx.core.value import value
from genvx.errors import InvalidInput

# More than this is sent only if somebody says so: most of the time it is data, or an environment.
MUCH_BYTES, MANY_FILES = 1 << 30, 50_000


@value
class Project:
    """The code that a run starts with.

    tree: the id of its files. name: that of its directory. files, size: how many, and their bytes.
    commit: the commit of git on which it is based; empty if there is none. dirty: whether it
    differs from that.

    Raises:
        InvalidInput: the id is none.
    """

    tree: str
    name: str = ""
    files: int = 0
    size: int = 0
    commit: str = ""
    dirty: bool = False

    def __post_init__(self) -> None:
        if not is_tree(self.tree):
            raise InvalidInput("the id of a tree has 64 hex digits")


def is_tree(text: str) -> bool:
    """Whether a text has the form of a tree's id."""
    return len(text) == 64 and not text.strip("0123456789abcdef")
