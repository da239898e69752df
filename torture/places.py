"""Places in the sources of a package, found by name, and changes that are made there.

A place is a function (`acquire`), a method (`LeaseStore.publish`), a class or a constant of a
module (`MOST_HOSTS`), wherever in the package it is. Where several modules have the name, the last
part of the module's name comes before it: `store:_read`. So neither moving a module nor formatting
it anew makes a change stale.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


class Stale(Exception):
    """A change does not fit the sources any more."""


@dataclass(frozen=True)
class Change:
    """old: what stands once in the source of the place, as `ast.unparse` writes it: in one line,
    without comments, with single quotes. new: what stands there instead.
    """

    place: str
    old: str
    new: str


class Sources:
    """The modules below a directory, and what is named in them."""

    def __init__(self, root: Path) -> None:
        self._found: dict[str, list[Path]] = {}
        for path in sorted(root.rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for name in {name for name, _, _ in _named(tree)}:
                self._found.setdefault(name, []).append(path)

    def file_of(self, place: str) -> Path:
        """The module that a place is in.

        Raises:
            Stale: none has it, or several have.
        """
        module, _, name = place.rpartition(":")
        paths = [path for path in self._found.get(name, ()) if module in ("", path.stem)]
        if len(paths) != 1:
            raise Stale(f"{place}: {', '.join(map(str, paths)) or 'no module'} has it")
        return paths[0]

    def changed(self, change: Change, text: str) -> str:
        """The text of the place's module with the change made in it.

        Raises:
            Stale: the place is not there once, or what is to be changed is not there once.
        """
        tree = ast.parse(text)
        name = change.place.rpartition(":")[2]
        found = [(body, node) for each, body, node in _named(tree) if each == name]
        if len(found) != 1:
            raise Stale(f"{change.place}: there {len(found)} times")
        ((body, node),) = found
        source = ast.unparse(node)
        if source.count(change.old) != 1:
            raise Stale(
                f"{change.place}: has {change.old!r} {source.count(change.old)} times:\n{source}"
            )
        before = ast.dump(tree)
        body[body.index(node)] = ast.parse(source.replace(change.old, change.new)).body[0]
        if ast.dump(tree) == before:
            raise Stale(f"{change.place}: {change.new!r} changes nothing")
        return ast.unparse(tree)


def _named(tree: ast.Module) -> Iterator[tuple[str, list[ast.stmt], ast.stmt]]:
    """The names of a module's places, with the block that each is in."""
    for node in tree.body:
        for name in _names(node):
            yield name, tree.body, node
        if isinstance(node, ast.ClassDef):
            for inner in node.body:
                for name in _names(inner):
                    yield f"{node.name}.{name}", node.body, inner


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    return []
