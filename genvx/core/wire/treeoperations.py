"""What a host can be asked about trees of files; see operations.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Union

from genvx.core.text import NAME_LIMIT
from genvx.core.value import value
from genvx.core.wire.forms import Bare, Tagged
from genvx.core.wire.operation import Operation, Wire
from genvx.core.wire.plain import Malformed
from genvx.core.wire.tables import (
    Table,
    exact_text,
    flag,
    integer,
    one,
    seconds,
    string,
    strings,
    texts,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_BITS = 8 << 20  # hex digits
_LONGEST_NOTE, _MOST_NOTES = 400, 1000
_LONGEST_PATH = 4096


@value
class FindTree(Operation[bool]):
    """Whether the host has a tree, by its id."""

    tree: str


@value
class Amount:
    """So many trees or environments, and the bytes of their files."""

    trees: int
    size: int


NOTHING = Amount(0, 0)


@value
class Cleaned:
    """The trees and the environments that were deleted, or would be, and those that stay."""

    gone: Amount
    stays: Amount
    environments_gone: Amount = NOTHING
    environments_stay: Amount = NOTHING


@value
class CleanTrees(Operation[Cleaned]):
    """Delete the trees and the Python environments that no run has used for so many seconds and
    none uses now, and what was left half done. only_say: delete nothing.
    """

    unused: float
    only_say: bool = False


@value
class Coming:
    """The tree is to be sent: its manifest first. Repeated while the host copies what it has."""


@value
class Lacking:
    """The bodies that the host has not, which are to be sent: a bit for each body of the manifest,
    as hex digits.
    """

    bits: str


@value
class Received:
    """The host has the tree."""


TreeNews = Union[Coming, Lacking, Received]


@value
class SendTree(Operation[TreeNews]):
    """Send a tree. The host says `Received` if it has it. Otherwise it reads the manifest from
    stdin, says what it lacks, reads that, and says `Received` then; all in frames
    (core/projects/stream.py).
    """

    tree: str


@value
class Pulling:
    """What a run has made follows in frames. run: its id. left_out: what is not sent, in words."""

    run: str
    left_out: tuple[str, ...] = ()


PullNews = Union[Coming, Pulling]


@value
class PullRun(Operation[PullNews]):
    """Ask for the files of a run: its log, and what it has made or changed. The host says `Coming`
    while it looks, then `Pulling`, and sends the manifest. It reads `Lacking.bits` from stdin, and
    sends these bodies; all in frames (core/projects/stream.py).

    only: patterns of which a name must fit one. everything: also what is as it was in the project.
    bare: only the files in the directory where its command started, without the log. names: the
    names of all its files follow the manifest (core/projects/plan.py). events: also the changes of
    its state, and how its project differed from the commit.
    """

    run: str
    only: tuple[str, ...] = ()
    everything: bool = False
    bare: bool = False
    names: bool = False
    events: bool = False


@value
class Planned:
    """What the host will do to the directory follows in a frame."""


@value
class Placed:
    """All files are in their places. changed: how many are new or other ones. gone: how many were
    deleted.
    """

    changed: int
    gone: int = 0


PutNews = Union[Coming, Planned, Placed]


@value
class PutFiles(Operation[PutNews]):
    """Have files in a directory of the host, counted from the home. The host says `Coming`, and
    reads the manifest from stdin. It says `Planned`, and sends its plan. It reads the names that it
    is to delete, and the bodies that it lacks, and says `Placed` when all is done. Manifest, plan,
    names and bodies are frames (core/projects/stream.py, core/projects/plan.py).

    extra: the plan names what is in the directory and not in the manifest; nothing else can be
    deleted. only_say: it ends with the plan, and writes nothing.
    """

    directory: str
    extra: bool = False
    only_say: bool = False


def lacking_of(indices: Iterable[int], count: int) -> Lacking:
    """What a host says that lacks the bodies with these indices, of so many."""
    bits = bytearray((count + 7) // 8)
    for index in indices:
        bits[index // 8] |= 1 << index % 8
    return Lacking(bits.hex())


def indices_of(lacking: Lacking, count: int) -> list[int]:
    """The indices of the bodies that a host lacks, of so many.

    Raises:
        Malformed: what it says is about another number of bodies.
    """
    try:
        bits = bytes.fromhex(lacking.bits)
    except ValueError:
        raise Malformed("what the host lacks cannot be read") from None
    if len(bits) != (count + 7) // 8:
        raise Malformed("what the host lacks is about another tree")
    found = [at for at in range(8 * len(bits)) if bits[at // 8] >> at % 8 & 1]
    if found and found[-1] >= count:
        raise Malformed("what the host lacks is about another tree")
    return found


_TREE = exact_text(64)
TREE_NEWS: Tagged[TreeNews] = Tagged(
    "news of a tree",
    {
        "coming": Table(Coming, "coming"),
        "lacking": Table(Lacking, "lacking", bits=string(_MOST_BITS)),
        "received": Table(Received, "received"),
    },
)
PULL_NEWS: Tagged[PullNews] = Tagged(
    "news of a run's files",
    {
        "coming": Table(Coming, "coming"),
        "pulling": Table(
            Pulling, "pulling", run=exact_text(64), left_out=texts(_LONGEST_NOTE, _MOST_NOTES)
        ),
    },
)
PUT_NEWS: Tagged[PutNews] = Tagged(
    "news of files",
    {
        "coming": Table(Coming, "coming"),
        "planned": Table(Planned, "planned"),
        "placed": Table(Placed, "placed", changed=integer(), gone=integer()),
    },
)
AMOUNT = Table(Amount, "amount", trees=integer(), size=integer())
WIRES = (
    Wire("tree-find", Table(FindTree, "find", tree=_TREE), Bare(flag())),
    Wire(
        "tree-clean",
        Table(CleanTrees, "clean", unused=seconds(), only_say=flag()),
        Table(
            Cleaned,
            "cleaned",
            gone=one(AMOUNT),
            stays=one(AMOUNT),
            environments_gone=one(AMOUNT),
            environments_stay=one(AMOUNT),
        ),
    ),
    Wire(
        "run-pull",
        Table(
            PullRun,
            "pull",
            run=string(NAME_LIMIT),
            only=strings(4096, 1000),
            everything=flag(),
            bare=flag(),
            names=flag(),
            events=flag(),
        ),
        PULL_NEWS,
    ),
    Wire(
        "files-put",
        Table(PutFiles, "put", directory=string(_LONGEST_PATH), extra=flag(), only_say=flag()),
        PUT_NEWS,
    ),
    Wire("tree-send", Table(SendTree, "send", tree=_TREE), TREE_NEWS),
)
