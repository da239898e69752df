"""Storing a project that is on this machine, for runs here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable

from genvx.local.trees.receiving import receive
from genvx.local.trees.store import TreeStore, trees_root

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from genvx.core.projects.manifest import Body
    from genvx.local.trees.project import LocalProject


def keep(
    environ: Mapping[str, str], project: LocalProject, sent: Callable[[int, int], object]
) -> None:
    """Store a project, unless it is here. Arguments and errors: as LocalHost.send_tree."""
    store = TreeStore(trees_root(environ))
    tree = project.recorded.tree
    if store.has(tree):
        return

    def contents(lacking: list[int], bodies: list[Body]) -> Iterator[bytes]:
        total = sum(bodies[index].size for index in lacking)
        done = 0
        for content, _ in project.contents(lacking):
            yield content
            done += len(content)
            sent(done, total)

    receive(store, tree, project.manifest.to_bytes(), contents)
