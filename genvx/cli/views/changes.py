"""How the projects of runs differ: from their commits, and from each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.cli.schema.document import print_document
from genvx.cli.schema.runs import plain_run
from genvx.core.projects.comparing import differing_files
from genvx.core.projects.manifest import Manifest
from genvx.core.runs.runcompare import groups
from genvx.core.text import printable
from genvx.core.wire.plain import Malformed
from genvx.core.wire.runoperations import ShowRun

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from genvx.cli.ask.where import Where
    from genvx.core.runs.runinfo import RunInfo
    from genvx.core.wire.runoperations import RunDetails


def files_of(
    places: Sequence[tuple[Any, RunInfo]], note: Callable[[str], object]
) -> Mapping[bytes, tuple[int | None, ...]]:
    """Return the files that differ between the projects of runs, with equal numbers for what is
    equal; none if all have one project.

    places: the runs, with their hosts. note: takes a line where this cannot be known.
    """
    projects = [run.spec.project for _, run in places]
    trees: dict[str, Manifest] = {}
    if None in projects or len({each.tree for each in projects if each is not None}) == 1:
        return {}
    for (host, run), project in zip(places, projects, strict=True):
        if project is None or project.tree in trees:
            continue
        try:
            trees[project.tree] = Manifest.read(
                host.answer(ShowRun(run.asked_as, 0, files=True)).files
            )
        except Malformed:
            note(f"{host.name} has no list of the files of run {run.id} any more")
            return {}
    found = differing_files([trees[each.tree] for each in projects if each is not None])
    return {name: groups(each) for name, each in found.items()}


def show_diff(where: Where, host: str, details: RunDetails, *, json: bool) -> None:
    """Print how the project of a run differed from its commit."""
    diff = details.diff.decode("utf-8", "replace")
    if json:
        run = plain_run(details.run) | {"diff": diff}
        print_document("runs info", hosts=[{"host": host, "ok": True, "runs": [run]}])
        return
    for line in diff.splitlines():
        # Tabs are what code is indented with, and harmless.
        print("\t".join(printable(part, len(diff) + 1) for part in line.split("\t")))
    if not diff:
        where.note(f"run {details.run.id} {_without(details)}")


def _without(details: RunDetails) -> str:
    project = details.run.spec.project
    if project is None:
        return "has no project"
    if not project.commit:
        return "has a project that was in no repository, or in one without a commit"
    if project.dirty:
        return "has a project with changes, but its host does not have them"
    return f"has the project as it is in commit {project.commit}"
