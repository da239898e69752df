"""The project of a run, as its record has it."""

from __future__ import annotations

from genvx.core.quantities.amounts import format_size
from genvx.core.value import value
from genvx.errors import InvalidInput

# More than this is sent only with a confirmation: it is mostly data, or a virtual environment.
MUCH_BYTES, MANY_FILES = 1 << 30, 50_000
# Of a diff, so much is kept.
MOST_DIFF = 256 << 10


@value
class Project:
    """The code that a run starts with.

    tree: the id of its files. name: that of its directory. files, size: how many, and their bytes.
    commit: the commit of git on which it is based; empty if there is none. dirty: whether it
    differs from that. diff: how; only on the way to a host, where it gets a file of its own.

    Raises:
        InvalidInput: the id is none, or the diff is too long.
    """

    tree: str
    name: str = ""
    files: int = 0
    size: int = 0
    commit: str = ""
    dirty: bool = False
    diff: bytes = b""

    def __post_init__(self) -> None:
        if not is_tree(self.tree):
            raise InvalidInput("the id of a tree has 64 hex digits")
        if len(self.diff) > MOST_DIFF:
            raise InvalidInput(f"a diff has at most {MOST_DIFF} bytes")

    def __str__(self) -> str:
        """What it is, for people: its name, its size, and the commit on which it is based."""
        files = f"{self.files} file{'' if self.files == 1 else 's'}"
        text = f"{self.name}, {files}, {format_size(self.size)}, tree {self.tree[:12]}"
        if self.commit:
            text += f", commit {self.commit[:12]}" + (" with changes" if self.dirty else "")
        return text


def is_tree(text: str) -> bool:
    """Whether a text has the form of a tree's id."""
    return len(text) == 64 and not text.strip("0123456789abcdef")
