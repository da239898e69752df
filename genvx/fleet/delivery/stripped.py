"""The text of a module without what only people and checkers read."""

from __future__ import annotations

import ast


def program_of(text: str) -> bytes:
    """Return the text of a module without the parts that only people and checkers read."""
    tree = _Stripped().visit(ast.parse(text))
    return ast.unparse(ast.fix_missing_locations(tree)).encode("ascii")


class _Stripped(ast.NodeTransformer):
    """Strips docstrings, annotations, and imports that the host does not have."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Constant) else node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        ours = (node.module or "").startswith("genvx")
        return None if ours or node.module in ("__future__", "typing") else node

    def visit_If(self, node: ast.If) -> ast.AST | None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return None
        self.generic_visit(node)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        return node.value and ast.Assign([node.target], node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        node.returns = None
        node.body = node.body or [ast.Pass()]
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node
