"""Trees on the wire: receiving those of a client, and sending what a run has made."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, BinaryIO

from genvx.core.projects.manifest import MOST_MANIFEST, Manifest
from genvx.core.projects.plan import Plan, read_names
from genvx.core.projects.stream import failure, frame, read_frame
from genvx.core.wire.plain import Malformed
from genvx.core.wire.treeoperations import (
    Coming,
    Lacking,
    Placed,
    Planned,
    Pulling,
    Received,
    indices_of,
    lacking_of,
)
from genvx.errors import GenvxError, ProtocolError
from genvx.local.trees.receiving import receive
from genvx.local.trees.store import TreeStore, trees_root

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Callable

    from genvx.agent.farend import FarEnd
    from genvx.core.projects.manifest import Body
    from genvx.core.wire.treeoperations import PullRun, PutFiles, SendTree

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
        out.writelines(frame(manifest.to_bytes(), packed=True))
        if asked.names:
            out.writelines(frame(found.known.to_bytes(), packed=True))
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


def put_files(end: FarEnd, asked: PutFiles) -> int:
    """Have the files of a client in a directory here."""
    from genvx.local.trees.clearing import require_place
    from genvx.local.trees.landing import Landing

    busy, stdin = _Busy(end, asked), _stdin()
    end.reply(asked, Coming())
    try:
        manifest = Manifest.read(read_frame(stdin.read, MOST_MANIFEST))
        bodies = manifest.bodies()
        landing = Landing(asked.directory, end.host.environ, only_say=asked.only_say)
        if asked.extra:
            require_place(landing.path, end.host.environ)
        with landing:
            changed = landing.compare(manifest, busy)
            lacking = landing.needed() if asked.only_say else landing.await_bodies()
            extra = landing.extra(manifest.names()) if asked.extra else []
            end.reply(asked, Planned())
            plan = Plan(tuple(changed), tuple(lacking), tuple(extra))
            with open(end.out, "wb", closefd=False) as out:
                out.writelines(frame(plan.to_bytes(manifest), packed=True))
            if asked.only_say:
                return 0
            unwanted = read_names(read_frame(stdin.read, MOST_MANIFEST))
            if not set(unwanted) <= set(extra):
                raise ProtocolError("what is to be deleted was not named before")
            for index in lacking:
                landing.put(index, read_frame(stdin.read, bodies[index].size))
            # Only now that all is here: what is in the way of a file may be among it.
            gone = landing.remove(unwanted)
            end.reply(asked, Placed(landing.finish(), gone))
    except Malformed as error:
        raise ProtocolError(f"the files are refused: {error}") from None
    return 0


ACTS: Mapping[str, Callable[[FarEnd, Any], int]] = {
    "SendTree": receive_tree,
    "PullRun": send_files,
    "PutFiles": put_files,
}
