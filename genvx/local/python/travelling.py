"""What travels to a host for the Python of a run that starts there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from genvx.core.projects.python import Python, PythonKind
from genvx.core.text import NAME_LIMIT, printable
from genvx.local.python.bundled import pip_tree
from genvx.local.python.needs import needs_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from genvx.local.trees.assembled import AssembledTree
    from genvx.local.trees.project import LocalProject


def python_for(
    project: LocalProject,
    environ: Mapping[str, str],
    *,
    extras: Sequence[str] = (),
    wheels: Optional[str] = None,
    typed: bool = False,
) -> tuple[Optional[Python], list[AssembledTree]]:
    """Return the Python that is made for a project, and the trees that its host needs for that;
    None if the project needs none.

    extras, wheels: as for needs_of. typed: whether somebody asked for it.

    Raises: as `needs_of`.
    """
    needs = needs_of(project, environ, extras=extras, wheels=wheels)
    if needs is None:
        return None, []
    pip = pip_tree(environ)
    python = Python(
        PythonKind.AUTO,
        needs=needs.tree.recorded.tree,
        source=printable(needs.source, NAME_LIMIT),
        pip="" if pip is None else pip.recorded.tree,
        offline=needs.offline,
        typed=typed,
    )
    return python, [needs.tree, *([] if pip is None else [pip])]
