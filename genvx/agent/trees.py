"""Trees on the wire: receiving the one of a client, and sending what a run has made."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, BinaryIO

from genvx.core.projects.manifest import MOST_MANIFEST
from genvx.core.projects.stream import failure, frame, read_frame
from genvx.core.wire.plain import Malformed
from genvx.core.wire.treeoperations import (
    Coming,
    Lacking,
    Pulling,
    Received,
    indices_of,
    lacking_of,
)
from genvx.errors import GenvxError, ProtocolError
from genvx.local.trees.receiving import receive
from genvx.local.trees.store import TreeStore, trees_root

if TYPE_CHECKING:
    from collections.abc import Iterator

    from genvx.agent.farend import FarEnd
    from genvx.core.projects.manifest import Body
    from genvx.core.wire.treeoperations import PullRun, SendTree

# A client that hears nothing for long takes the connection for lost.
_NEWS = 5.0
_BUFFER = 256 * 1024


def _stdin() -> BinaryIO:
    """Our stdin, of which nothing has been read yet but the call."""
    return open(0, "rb", buffering=_BUFFER, closefd=False)


class _Busy:
    """Called often during long work; tells the client every few seconds that we are still there."""

    def __init__(self, end: FarEnd, asked: Any) -> None:
        self._end = end
        self._asked = asked
        self._told = time.monotonic()

    def __call__(self) -> None:
        if time.monotonic() >= self._told + _NEWS:
            self._told = time.monotonic()
            self._end.reply(self._asked, Coming())


def receive_tree(end: FarEnd, asked: SendTree) -> int:
    """Receive a tree, unless it is here."""
    store = TreeStore(trees_root(end.host.environ))
    if store.has(asked.tree):
        end.reply(asked, Received())
        return 0
    busy = _Busy(end, asked)

    stdin = _stdin()

    def ask(lacking: list[int], bodies: list[Body]) -> Iterator[bytes]:
        end.reply(asked, lacking_of(lacking, len(bodies)))
        for index in lacking:
            yield read_frame(stdin.read, bodies[index].size)

    end.reply(asked, Coming())
    receive(store, asked.tree, read_frame(stdin.read, MOST_MANIFEST), ask, busy)
    end.reply(asked, Received())
    return 0


def send_files(end: FarEnd, asked: PullRun) -> int:
    """Send what a run has made."""
    from genvx.local.runs.made import made

    found = made(end.host, asked, _Busy(end, asked))
    end.reply(asked, Pulling(found.run, found.left_out))
    manifest = found.files.manifest
    with open(end.out, "wb", closefd=False) as out:
        out.write(b"".join(frame(manifest.to_bytes(), packed=True)))
        out.flush()
        count = len(manifest.bodies())
        try:
            bits = read_frame(_stdin().read, count + 64).decode("ascii")
            wanted = indices_of(Lacking(bits), count)
        except (Malformed, UnicodeDecodeError):
            raise ProtocolError("what the client lacks cannot be read") from None
        try:
            for content, packed in found.files.contents(wanted):
                out.writelines(frame(content, packed=packed))
        except GenvxError as error:
            out.write(failure(error))
    return 0
