"""The Python of a run: an environment that is made for it, or one that is there."""

from __future__ import annotations

import re
from enum import Enum

from genvx.core.projects.project import is_tree
from genvx.core.text import printable
from genvx.core.value import value
from genvx.errors import InvalidInput

# In the tree of what an environment needs.
REQUIREMENTS, CONSTRAINTS = "requirements.txt", "constraints.txt"
WHEELS, PROJECT = "wheels", "project"

_CONDA = "conda:"
LONGEST_WHERE = 4096
# Of conda itself, which also takes paths. Compiled when it is first used.
_CONDA_NAME = r"[^\s:#\x00-\x1f\x7f]{1,1000}"


class PythonKind(str, Enum):
    """Where a Python comes from."""

    AUTO = "auto"
    PATH = "path"
    CONDA = "conda"


@value
class Python:
    """The Python with which the command of a run starts.

    kind: AUTO is an environment that is made on the host for what `needs` has. where: the path of a
    PATH, counted from the home there; the name or path of a CONDA. needs: the id of the tree with
    the requirements. source: the files that they come from, for people. pip: the id of a tree with
    a wheel of pip, for hosts that have none. prerelease: whether versions count that are no final
    ones. offline: whether only the wheels of the tree are installed. typed: whether the user asked
    for it; if not, the Python that a remote names comes first.

    Raises:
        InvalidInput: the fields do not fit together.
    """

    kind: PythonKind
    where: str = ""
    needs: str = ""
    source: str = ""
    pip: str = ""
    prerelease: bool = False
    offline: bool = False
    typed: bool = False

    def __post_init__(self) -> None:
        if not (self.needs if self.kind is PythonKind.AUTO else self.where):
            raise InvalidInput("a Python is made of its needs, or is somewhere")
        for tree in (self.needs, self.pip):
            if tree and not is_tree(tree):
                raise InvalidInput("the id of a tree has 64 hex digits")

    def __str__(self) -> str:
        """What it is, for people."""
        if self.kind is PythonKind.AUTO:
            return f"made for {self.source}" + (" (pre-releases count)" if self.prerelease else "")
        return f"{_CONDA}{self.where}" if self.kind is PythonKind.CONDA else self.where


def chosen(text: str) -> Python | str:
    """Read the value of --python: "auto", "none", or a Python that is on the host.

    Raises:
        InvalidInput: it is none of these.
    """
    if text in ("auto", "none"):
        return text
    if text.startswith(_CONDA):
        name = text[len(_CONDA) :]
        if not re.fullmatch(_CONDA_NAME, name) or name.startswith("-"):
            raise InvalidInput("--python conda:NAME needs the name or the path of an environment")
        return Python(PythonKind.CONDA, name, typed=True)
    # A word without a slash is more often a slip than a directory in the home.
    if "/" not in text:
        raise InvalidInput(
            "--python is auto, none, conda:NAME, or the path of an interpreter or its directory "
            f"on the host, such as ~/venv/bin, not {printable(text, 60)!r}"
        )
    if not text.isprintable() or len(text) > LONGEST_WHERE or ":" in text:
        raise InvalidInput("--python: a path of printable characters, without a colon")
    return Python(PythonKind.PATH, text, typed=True)
