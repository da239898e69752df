"""Copying a directory of this machine to hosts, with a progress line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genvx.cli.show.sending import Sending
from genvx.cli.transfers.clearing import confirm
from genvx.core.projects.manifest import DIRECTORY, shown_name
from genvx.core.quantities.amounts import format_size
from genvx.core.text import printable
from genvx.core.value import value
from genvx.core.wire.treeoperations import PutFiles
from genvx.errors import InvalidInput
from genvx.fleet.shipping.reading import read, until_unchanged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genvx.core.projects.plan import Landed, Plan
    from genvx.fleet.shipping.shipment import DirectoryShipment


@value
class Pushing:
    """The options of genvx push.

    directory: of this machine. everything: also what git ignores. delete: what is there and not in
    the directory. yes: without a question. only_say: write nothing.
    """

    directory: str
    everything: bool = False
    follow_links: bool = False
    delete: bool = False
    yes: bool = False
    only_say: bool = False

    def read(self) -> DirectoryShipment:
        """Read the directory. Raises InvalidInput, ProjectChanged: as Gathered.read."""
        return read(self.directory, follow_links=self.follow_links, everything=self.everything)


class Pushed:
    """What a host got, or would get. landed: how much. changed, extra: the names."""

    def __init__(self) -> None:
        self.landed: Landed | None = None
        self.changed: list[bytes] = []
        self.extra: list[bytes] = []


def push(host: Any, dest: str, asked: Pushing, shown: Sending) -> Pushed:
    """Copy a directory into one of a host; a directory that changes meanwhile is read again.

    Raises: as fleet.shipping.putting.put; InvalidInput: somebody said no.
    """
    return until_unchanged(lambda: _push(host, dest, asked, shown))


def _push(host: Any, dest: str, asked: Pushing, shown: Sending) -> Pushed:
    project = asked.read()
    pushed = Pushed()

    def decide(plan: Plan) -> Sequence[bytes]:
        entries = (project.manifest.entries[index] for index in plan.changed)
        pushed.changed = [
            each.name + b"/" if each.kind == DIRECTORY else each.name for each in entries
        ]
        if asked.delete:
            pushed.extra = project.unwanted(plan.extra)
            if not asked.only_say:
                place = f"{host.name}:{printable(dest, 300)}"
                confirm(pushed.extra, place, yes=asked.yes)
        return pushed.extra

    pushed.landed = host.put(
        PutFiles(dest, asked.delete, asked.only_say),
        project,
        decide,
        lambda done, total: shown.update(host.name, done, total),
    )
    return pushed


def summary(host: str, dest: str, pushed: Pushed, *, only_say: bool) -> list[str]:
    """What was done, or would be, in lines."""
    landed, place = pushed.landed, f"{host}:{printable(dest, 300)}"
    assert landed is not None
    size = f" ({format_size(landed.size)})" if landed.size else ""
    many = f"{landed.changed} file{'' if landed.changed == 1 else 's'}{size}"
    if only_say:
        lines = [f"send    {shown_name(name)}" for name in pushed.changed]
        lines += [f"delete  {shown_name(name)}" for name in pushed.extra]
        gone = f", and delete {landed.deleted}" if pushed.extra else ""
        return [*lines, f"Would push {many} to {place}{gone}"]
    gone = f", and deleted {landed.deleted} there" if pushed.extra else ""
    return [f"Pushed {many} to {place}{gone}"]


def split(target: str) -> tuple[str, str]:
    """HOST and DEST of HOST:DEST; without a colon before the first slash, all of it is DEST.

    Raises:
        InvalidInput: there is no DEST.
    """
    head, colon, rest = target.partition(":")
    if target.startswith("[") and "]:" in target:
        head, _, rest = target.partition("]:")
        head += "]"
    elif not colon or "/" in head:
        head, rest = "", target
    if not rest:
        raise InvalidInput(
            f"say which directory, as in {printable(head or 'HOST', 60)}:DEST; it is counted from "
            "your home there"
        )
    if "\0" in rest:
        raise InvalidInput("a NUL character cannot be in a path")
    return head, rest
