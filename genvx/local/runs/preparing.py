"""What a run gets before its command starts: its copy of the project, its Python, its port. And the
container in which it starts.

The trees of which both are made are held from the acceptance of the run on, and its environment to
its end, so that nobody deletes them meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from genvx.core.prelude import prelude_of
from genvx.core.projects.python import PythonKind
from genvx.core.runs.runstate import Failed, Step
from genvx.core.text import printable
from genvx.errors import InvalidInput
from genvx.local.runs.clock import now
from genvx.local.runs.projectcopy import give_copy

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Callable

    from genvx.core.projects.python import Python
    from genvx.core.runs.run import RunSpec
    from genvx.core.runs.runstate import RunState
    from genvx.local.machine import Machine
    from genvx.local.running.hold import LocalHold
    from genvx.local.runs.below import Below
    from genvx.local.runs.container import RunContainer
    from genvx.local.runs.output import Output
    from genvx.local.runs.projectcopy import Report
    from genvx.local.runs.record import RunDirectory
    from genvx.local.runs.runpython import RunPython
    from genvx.local.trees.store import StoredTree


def made_for(spec: RunSpec) -> Optional[Python]:
    """The Python that is made for a run; None if it has none, or its remote names one."""
    python = spec.python
    if python is None or python.kind is not PythonKind.AUTO:
        return None
    return python if python.typed or prelude_of(spec.argv) is None else None


class Preparation:
    """The preparation of one run.

    port: the one on which it serves, once it is prepared; None if it serves on none. container: in
    which its command starts; None for none.

    Raises:
        TreeMissing: what it needs is not here. StateError: it cannot be read. Unsatisfiable: there
        is no runtime for its container.
    """

    def __init__(self, host: Machine, spec: RunSpec, directory: RunDirectory) -> None:
        self.port: Optional[int] = None
        self.container: Optional[RunContainer] = None
        self._service = spec.service
        self._directory = directory
        self._tree: Optional[StoredTree] = None
        self._python: Optional[RunPython] = None
        if spec.project is not None:
            # Imported here: most runs have no project, and hashlib would be a fifth of a
            # supervisor's memory.
            from genvx.local.trees.store import TreeStore, trees_root

            self._tree = TreeStore(trees_root(host.environ)).open(spec.project.tree)
        if spec.python is not None and spec.python.kind is not PythonKind.CONDA:
            from genvx.local.runs.runpython import RunPython

            self._python = RunPython(host, spec, made_for(spec))
        if spec.container is not None:
            from genvx.local.runs.container import RunContainer

            self.container = RunContainer(host, spec, directory.path)

    def before(self) -> None:
        """Start what is not to be below the supervisor, which is no subreaper yet."""
        if self.container is not None:
            self.container.before()

    def prepare(
        self,
        output: Output,
        below: Below,
        report: Report,
        wait: Callable[[float], bool],
    ) -> Optional[RunState]:
        """Do all of it; return a state if the run ends with that.

        wait: waits so many seconds at most, and less if a child has ended; whether the run ends.
        """
        over = give_copy(self._tree, self._directory, report, output.say)
        if over is None and self._python is not None:
            over = self._python.make(self._directory, output, below, report, wait)
        if over is None and self._service is not None:
            # Last, so that the command follows soon: nobody keeps the port for it.
            from genvx.local.runs.service import choose_port

            try:
                self.port = choose_port(self._service)
            except InvalidInput as error:
                output.say(str(error))
                return Failed(now(), step=Step.START, why=printable(str(error), 500))
        return over

    def variables(self, path: str) -> Mapping[str, str]:
        """What the command has on top of all others. path: the PATH that it would have."""
        if self._python is None:
            return {}
        return self._python.variables(path)

    def terminates(
        self, pid: int, sleep: Callable[[float], None]
    ) -> Optional[Callable[[float], bool]]:
        """What sends the command SIGTERM; None if all that is below us is to get it.

        pid: of what was started.
        """
        container = self.container
        if container is None or not container.has_client:
            return None
        return lambda seconds: container.terminate(pid, sleep, seconds)

    def end(
        self,
        status: int,
        hold: LocalHold,
        below: Below,
        sleep: Callable[[float], None],
        say: Callable[[str], None],
    ) -> None:
        """End what is not below the supervisor; return once it is gone.

        status: with which the command has ended, as wait() says it.
        """
        if self.container is not None:
            self.container.tidy(status, hold, below, sleep, say)
