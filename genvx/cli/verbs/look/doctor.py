"""genvx doctor: find out what is wrong, and what to do."""

from __future__ import annotations

from typing import Annotated

from genvx.cli.ask.tabled import ONCE, PLAIN, Shown, tabled
from genvx.cli.ask.where import here
from genvx.cli.parse.declaring import Context, Exit, Option

ProjectDirectory = Annotated[
    str | None,
    Option(
        "--project",
        metavar="DIR",
        help="Also look whether the host has the code of this project (default: .genvx.toml).",
    ),
]


@tabled(*PLAIN, *ONCE, "no_summary")
def doctor(context: Context, shown: Shown, project: ProjectDirectory = None) -> None:
    """Show what is wrong, one line each, and what to do.

    The exit code is 4 if something is wrong.

    Example: genvx remote doctor
    """
    _show(context, shown, project)


@tabled(*PLAIN, *ONCE, "no_summary")
def check(context: Context, shown: Shown, project: ProjectDirectory = None) -> None:
    """Show what is wrong, as doctor does; Guild's name for it.

    The exit code is 4 if something is wrong.

    Example: genvx check
    """
    _show(context, shown, project)


def _show(context: Context, shown: Shown, directory: str | None) -> None:
    from genvx.cli.views.doctor import show

    where = here(context)
    project = python = None
    # Imported where there may be a project: of this machine, .genvx.toml is not asked for one.
    if where.remote or directory is not None:
        from genvx.cli.runs.project import ProjectOptions
        from genvx.cli.runs.python import PythonOptions

        # A large one is not sent here, so nobody is asked.
        project = ProjectOptions(directory, yes=True).chosen(load=where.remote).read()
        its = PythonOptions().loaded(load=where.remote and project is not None, project=True)
        python, _ = its.read(project)
    with where.fleet() as fleet:
        raise Exit(show(where, fleet, shown.output, project, python))
