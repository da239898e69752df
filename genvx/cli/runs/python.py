"""The code of a run that is detached: which project, and the Python for it; and what travels for
that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.cli.runs.project import ProjectOptions
from genvx.core.value import value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genvx.core.projects.python import Python
    from genvx.fleet.shipping.shipment import Shipment


@value
class PythonOptions:
    """The options for the Python of a run. python: as for --python; None for the usual one. setup:
    a line for bash. wheels: a directory here. extras: names.
    """

    python: str | None = None
    setup: str = ""
    wheels: str | None = None
    extras: Sequence[str] = ()

    def loaded(self, *, load: bool, project: bool) -> PythonOptions:
        """Return these options, with those of .genvx.toml where they were not typed.

        load: whether to read that file. project: whether the run has a project; without one there
        is nothing that an environment could be made for.
        """
        if not load:
            return self
        from genvx.cli.ask.defaults import python

        found = python()
        named = self.python if self.python is not None else found.get("python")
        made = project and named in (None, "auto")
        wheels, extras = (found.get("wheels"), found.get("extra", ())) if made else (None, ())
        return PythonOptions(
            self.python if named == "auto" and not project else named,
            self.setup or found.get("setup", ""),
            self.wheels if self.wheels is not None else wheels,
            self.extras or extras,
        )

    def of_image(self) -> PythonOptions:
        """Return what of these options is for a run in a container, which has the Python of its
        image.

        Raises:
            InvalidInput: a Python of the host was asked for.
        """
        from genvx.fleet.containers import require_no_python

        require_no_python(self.python, self.wheels, self.extras)
        return PythonOptions(setup=self.setup)

    def read(self, project: Shipment | None) -> tuple[Python | None, list[Shipment]]:
        """Return the Python of a run, and the trees that its host needs for it.

        Raises: as fleet.shipping.reading.python_of.
        """
        from genvx.fleet.shipping.reading import python_of

        return python_of(project, self.python, wheels=self.wheels, extras=self.extras)


def code_of(
    project: str | None,
    follow_links: bool,
    yes: bool,
    python: str | None,
    setup: str | None,
    wheels: str | None,
    extra: Sequence[str] | None,
    *,
    load: bool,
    image: bool = False,
) -> tuple[ProjectOptions, PythonOptions]:
    """Return what these options of a verb say of a run's code, with .genvx.toml where they do not.

    load: whether to read that file. image: whether it runs in a container.

    Raises:
        InvalidInput: as `of_image`.
    """
    code = ProjectOptions(project, follow_links, yes).chosen(load=load)
    its = PythonOptions(python, setup or "", wheels, tuple(extra or ()))
    if image:
        return code, its.of_image()
    return code, its.loaded(load=load, project=code.directory is not None)
