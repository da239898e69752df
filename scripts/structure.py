"""Measures the structure of genvx from its sources, prints it, and fails on what is not allowed.

Every import counts: also those inside of functions and under TYPE_CHECKING, because a reader who
follows one has to understand the module behind it.
"""

from __future__ import annotations

import ast
import statistics
import sys
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).resolve().parent.parent
MOST_LINES = 400
# Each of these looks names up in a table of its own. Nobody else imports by name: neither a circle
# nor a wrong direction could be seen there.
_BY_NAME = {
    "genvx",
    "genvx.aio",
    "genvx.cli.parse.loading",
    "genvx.core.wire.asking",
    # runs on a host, where it has just put the agent
    "genvx.fleet.delivery.loader",
    # tomllib, or tomli in its place
    "genvx.local.state.policyfile",
}
_NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


class Module:
    """A module of genvx, parsed."""

    def __init__(self, path: Path) -> None:
        self.path = path.relative_to(ROOT)
        parts = self.path.with_suffix("").parts
        self.is_package = parts[-1] == "__init__"
        self.name = ".".join(parts[:-1] if self.is_package else parts)
        text = path.read_text(encoding="utf-8")
        self.lines = text.count("\n")
        self.tree = ast.parse(text, str(self.path))
        with path.open("rb") as file:
            tokens = list(tokenize.tokenize(file.readline))
        self.comments = sum(token.type == tokenize.COMMENT for token in tokens)
        self.code = len({line for token in tokens for line in _lines_of_code(token)})

    def imports(self, known: set[str]) -> set[str]:
        """The modules of genvx that this one names in any import."""
        found: set[str] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    found.add(inner if inner in known else node.module)
        return {name for name in found if name in known} - {self.name}

    def imports_by_name(self) -> bool:
        """Whether it imports what only a value says."""
        names = {
            *(node.id for node in ast.walk(self.tree) if isinstance(node, ast.Name)),
            *(node.attr for node in ast.walk(self.tree) if isinstance(node, ast.Attribute)),
            *(node.name for node in ast.walk(self.tree) if isinstance(node, ast.alias)),
        }
        return bool(names & {"import_module", "__import__"})

    def undocumented(self) -> Iterator[str]:
        """Public names without a docstring."""
        if self.lines > 1 and ast.get_docstring(self.tree) is None:
            yield self.name
        yield from _undocumented(self.tree, self.name)


def _lines_of_code(token: tokenize.TokenInfo) -> Iterable[int]:
    """The lines that a token stands on; none for a comment, a docstring or an empty line."""
    first, last = token.start[0], token.end[0]
    docstring = token.type == tokenize.STRING and not token.line[: token.start[1]].strip()
    if token.type in _NO_CODE or docstring:
        return ()
    return range(first, last + 1)


def _undocumented(parent: ast.Module | ast.ClassDef, where: str) -> Iterator[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for node in parent.body:
        if isinstance(node, kinds) and not node.name.startswith("_"):
            name = f"{where}.{node.name}"
            # The docstring of an overloaded function is that of what does it.
            overload = any(getattr(each, "id", "") == "overload" for each in node.decorator_list)
            if ast.get_docstring(node) is None and not overload:
                yield name
            if isinstance(node, ast.ClassDef):
                yield from _undocumented(node, name)


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that reach each other (Tarjan's strongly connected components)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in sorted(graph[name]):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                found.append(sorted(group))

    for name in sorted(graph):
        if name not in index:
            visit(name)
    return found


def main() -> int:
    """Print the figures; return 1 if one of them is not allowed."""
    modules = [Module(path) for path in sorted((ROOT / "genvx").rglob("*.py"))]
    known = {module.name for module in modules}
    graph = {module.name: module.imports(known) for module in modules}
    found = circles(graph)
    long = [module for module in modules if module.lines > MOST_LINES]
    by_name = [m.name for m in modules if m.imports_by_name() and m.name not in _BY_NAME]
    median = statistics.median(m.lines for m in modules if not m.is_package)
    lines = sum(module.lines for module in modules)
    comments = sum(module.comments for module in modules)
    bare = [name for module in modules for name in module.undocumented()]
    print(f"modules                        {len(modules)}, {lines} lines, median {median:g}")
    print(f"import circles                 {len(found)}")
    for group in found:
        print(f"    {len(group)}: {', '.join(group)}")
    print(f"unseen imports                 {len(by_name)}")
    for name in by_name:
        print(f"    {name} imports by name")
    print(f"modules above {MOST_LINES} lines        {len(long)}")
    for module in long:
        print(f"    {module.path} ({module.lines})")
    code = sum(module.code for module in modules)
    print(f"comments per 100 lines of code {100 * comments / code:.1f}")
    print(f"public names without docstring {len(bare)}")
    if "--names" in sys.argv:
        for name in bare:
            print(f"    {name}")
    return 1 if found or by_name or long else 0


if __name__ == "__main__":
    sys.exit(main())
