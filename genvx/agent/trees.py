"""Receiving a tree that a client sends."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from genvx.core.projects.manifest import MOST_MANIFEST
from genvx.core.projects.stream import read_frame
from genvx.core.wire.treeoperations import Coming, Received, lacking_of
from genvx.local.trees.receiving import receive
from genvx.local.trees.store import TreeStore, trees_root

if TYPE_CHECKING:
    from collections.abc import Iterator

    from genvx.agent.farend import FarEnd
    from genvx.core.projects.manifest import Body
    from genvx.core.wire.treeoperations import SendTree

# A client that hears nothing for long takes the connection for lost.
_NEWS = 5.0


def receive_tree(end: FarEnd, asked: SendTree) -> int:
    """Receive a tree, unless it is here; reply how far it is."""
    store = TreeStore(trees_root(end.host.environ))
    if store.has(asked.tree):
        end.reply(asked, Received())
        return 0
    told = [time.monotonic()]

    def read(size: int) -> bytes:
        return os.read(0, size)

    def busy() -> None:
        if time.monotonic() >= told[0] + _NEWS:
            told[0] = time.monotonic()
            end.reply(asked, Coming())

    def ask(lacking: list[int], bodies: list[Body]) -> Iterator[bytes]:
        end.reply(asked, lacking_of(lacking, len(bodies)))
        for index in lacking:
            yield read_frame(read, bodies[index].size)

    end.reply(asked, Coming())
    receive(store, asked.tree, read_frame(read, MOST_MANIFEST), ask, busy)
    end.reply(asked, Received())
    return 0
