"""The Python of a run, on its host: an environment that is made or found, or one that is named."""

from __future__ import annotations

import os
import shlex
import signal
import time
from typing import TYPE_CHECKING, Optional

from genvx.core.projects.python import PythonKind
from genvx.core.runs.runstate import Failed, Preparing, Step
from genvx.core.text import printable
from genvx.errors import StateError
from genvx.local.diskerror import disk_error
from genvx.local.python.environments import (
    NEEDS,
    TEMPORARY,
    Environments,
    environments_root,
    name_of,
)
from genvx.local.python.installing import PIP, installer, require_pip, steps, variables
from genvx.local.python.interpreter import bin_of, interpreter
from genvx.local.runs.clock import now
from genvx.local.runs.guarded import guard
from genvx.local.runs.places import home_of
from genvx.local.trees.copying import copy
from genvx.local.trees.place import OPEN_DIRECTORY
from genvx.local.trees.store import TreeStore, trees_root

if TYPE_CHECKING:
    from typing import Callable

    from genvx.core.projects.python import Python
    from genvx.core.runs.run import RunSpec
    from genvx.core.runs.runstate import RunState
    from genvx.local.machine import Machine
    from genvx.local.python.environments import Environment
    from genvx.local.python.interpreter import Interpreter
    from genvx.local.runs.below import Below
    from genvx.local.runs.output import Output
    from genvx.local.runs.projectcopy import Report
    from genvx.local.runs.record import RunDirectory
    from genvx.local.trees.store import StoredTree

# Seconds between looks at an environment that another run makes, at first and at last; and between
# reports of the progress.
_SOON, _LATER = 0.05, 0.5
_NEWS = 1.0
_MOST_SAID, _MOST_LINES = 4096, 3
_STUCK = 5.0


def require(host: Machine, spec: RunSpec, made: Optional[Python]) -> None:
    """Check, before a run is accepted, that it can get its Python here.

    made: the Python that is made for it.

    Raises:
        TreeMissing: what is to be installed has to be sent. StateError: this host cannot make it.
        InvalidInput: the one that is named is not here.
    """
    if spec.python is not None and spec.python.kind is PythonKind.PATH:
        bin_of(spec.python.where, home_of(host.environ))
    if made is None:
        return
    found = interpreter(host.environ)
    if _is_there(host, made, found):
        return
    trees = TreeStore(trees_root(host.environ))
    trees.require(made.needs)
    chosen = installer(found, host.environ)
    require_pip(chosen, made)
    if chosen.ships_pip:
        trees.require(made.pip)


def standing(host: Machine, made: Python) -> tuple[bool, str]:
    """Whether the environment of a Python that is made is there, and with what it would be made.

    Raises:
        StateError: it is not, and this host cannot make it.
    """
    found = interpreter(host.environ)
    if _is_there(host, made, found):
        return True, ""
    chosen = installer(found, host.environ)
    require_pip(chosen, made)
    return False, chosen.name


def _is_there(host: Machine, made: Python, found: Interpreter) -> bool:
    store = Environments(environments_root(host.environ))
    return store.is_complete(name_of(made, found))


class RunPython:
    """The Python of one run. made: the one that is made for it.

    Raises:
        TreeMissing: what is to be installed was deleted meanwhile. StateError: as `require`.
    """

    def __init__(self, host: Machine, spec: RunSpec, made: Optional[Python]) -> None:
        self._spec = spec
        self._made = made
        self._environ = host.environ
        self._bin = self._program = self._shims = ""
        self._trees: dict[str, StoredTree] = {}
        self._environment: Optional[Environment] = None
        if spec.python is not None and spec.python.kind is PythonKind.PATH:
            self._bin, self._program = bin_of(spec.python.where, home_of(host.environ))
        if made is None:
            return
        self._interpreter = interpreter(host.environ)
        store = Environments(environments_root(host.environ))
        self._store = store
        self._environment = store.open(name_of(made, self._interpreter))
        self._bin = os.path.join(self._environment.path, "bin")
        # From now on nobody deletes it, or what it is made of, also while the run waits in line.
        if self._environment.use():
            return
        trees = TreeStore(trees_root(host.environ))
        self._trees[made.needs] = trees.open(made.needs)
        self._installer = installer(self._interpreter, host.environ)
        require_pip(self._installer, made)
        if self._installer.ships_pip:
            self._trees[made.pip] = trees.open(made.pip)

    def variables(self, path: str) -> dict[str, str]:
        """What the command has: this Python comes first on its PATH."""
        if not self._bin:
            return {}
        found = {"PATH": os.pathsep.join(filter(None, (self._shims, self._bin, path)))}
        place = os.path.dirname(self._bin)
        if os.path.isfile(os.path.join(place, "pyvenv.cfg")):
            found["VIRTUAL_ENV"] = place
        return found

    def make(
        self,
        directory: RunDirectory,
        output: Output,
        below: Below,
        report: Report,
        wait: Callable[[float], bool],
    ) -> Optional[RunState]:
        """Make the environment, unless it is there; return a state if the run ends with that."""
        environment = self._environment
        try:
            if self._program:
                self._shims = _shims(directory.path, self._program)
            if environment is None:
                return None
            over = self._make(environment, output, below, report, wait)
            if over is not None:
                environment.close()  # others may make it
            return over
        except (OSError, StateError) as error:
            if environment is not None:
                environment.close()
            if isinstance(error, OSError):
                place = directory.path if environment is None else environment.path
                error = disk_error(error, f"write to {place}")
            why = f"cannot make the Python environment: {error}"
            output.say(why)
            return Failed(now(), step=Step.PYTHON, why=why)
        finally:
            for tree in self._trees.values():
                tree.close()

    def _make(
        self,
        environment: Environment,
        output: Output,
        below: Below,
        report: Report,
        wait: Callable[[float], bool],
    ) -> Optional[RunState]:
        since, pause, due = now(), _SOON, 0.0
        before, _ = environment.failure()
        while not environment.use():
            if not environment.claim():
                waiting = Preparing(since, Step.PYTHON, "another run makes the environment")
                if wait(pause) or time.monotonic() >= due:
                    due = time.monotonic() + _NEWS
                    over = report(waiting, True)
                    if over is not None:
                        return over
                pause = min(pause * 1.5, _LATER)
                continue
            if self._store.is_complete(environment.name):
                continue
            failed, why = environment.failure()
            if failed not in (None, before):
                # It has failed while we waited for it: that would only fail once more.
                output.say(f"another run could not make the Python environment: {why}")
                return Failed(now(), step=Step.PYTHON, why=why)
            over = self._install(environment, output, below, report, wait)
            if over is not None:
                return over
        return None

    def _install(
        self,
        environment: Environment,
        output: Output,
        below: Below,
        report: Report,
        wait: Callable[[float], bool],
    ) -> Optional[RunState]:
        """Make it, now that we have it alone; return a state if the run ends with that."""
        made = self._made
        assert made is not None, "there is nothing to make"
        began = time.monotonic()
        what = f"{made.source} for Python {self._interpreter.version}, with {self._installer.name}"
        output.say(f"installing {what}")
        environment.begin()
        self._unpack(environment)
        start = os.fstat(output.log).st_size
        pid = guard(
            steps(self._installer, self._interpreter, made, environment),
            os.path.join(environment.path, NEEDS),
            variables({**self._environ, **self._spec.variables}, environment),
            output.log,
            environment.descriptor,
        )
        code, over = self._wait(pid, report, wait)
        _end_below(below, wait)
        if over is not None:
            environment.begin()
            return over
        if code:
            why = _last_lines(output.log, start) or f"exit code {code}"
            environment.fail(why)
            return Failed(now(), step=Step.PYTHON, why=why)
        environment.finish(
            {
                "source": made.source,
                "python": self._interpreter.version,
                "installer": self._installer.name,
                "run": self._spec.id,
            }
        )
        output.say(f"installed in {time.monotonic() - began:.1f} s")
        self._store.forget_unused()
        return None

    def _unpack(self, environment: Environment) -> None:
        """Copy what is to be installed into the directory of the environment. Raises OSError."""
        made = self._made
        assert made is not None
        for name in ("", NEEDS, TEMPORARY, f"{NEEDS}/{PIP}"):
            os.mkdir(os.path.join(environment.path, name), 0o700)
        for tree, place in ((made.needs, NEEDS), (made.pip, f"{NEEDS}/{PIP}")):
            if tree in self._trees:
                target = os.open(os.path.join(environment.path, place), OPEN_DIRECTORY)
                try:
                    for _ in copy(self._trees[tree], target):
                        pass
                finally:
                    os.close(target)

    def _wait(
        self, pid: int, report: Report, wait: Callable[[float], bool]
    ) -> tuple[int, Optional[RunState]]:
        """Wait for the installation; return its exit code, and a state if the run ends."""
        since, over = now(), None
        began = due = time.monotonic()
        stops = False
        while True:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status), over
            at = time.monotonic()
            if over is None and (stops or at >= due):
                due = at + _NEWS
                past = f", {at - began:.0f} s" if at > began + _NEWS else ""
                shown = f"installing {self._made.source if self._made else ''}{past}"
                over = report(Preparing(since, Step.PYTHON, shown), True)
                if over is not None:
                    os.kill(pid, signal.SIGTERM)
                    due = at + _STUCK
            elif over is not None and at >= due:
                os.kill(pid, signal.SIGKILL)  # a guard that hangs; what it had comes to us
            stops = wait(min(_NEWS, max(_SOON, due - at)))


def _shims(directory: str, program: str) -> str:
    """Make `python` and `python3` that start an interpreter with another name; return where they
    are. Raises OSError.
    """
    place = os.path.join(directory, "bin")
    os.makedirs(place, 0o700, exist_ok=True)
    for name in ("python", "python3"):
        path = os.path.join(place, name)
        # No link: by that an interpreter would not find the virtual environment that it is in.
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(f'#!/bin/sh\nexec {shlex.quote(program)} "$@"\n')
        os.chmod(path, 0o700)
    return place


def _end_below(below: Below, wait: Callable[[float], bool]) -> None:
    """End what a guard that was killed has left: it has come to us."""
    while not below.is_empty():
        below.signal(signal.SIGKILL)
        below.discard()
        if not below.is_empty():
            wait(_SOON)


def _last_lines(log: int, start: int) -> str:
    """The last lines of the log behind a place, for people: what an installer says at its end."""
    size = os.fstat(log).st_size
    at = max(start, size - _MOST_SAID)
    text = os.pread(log, max(0, size - at), at).decode("utf-8", "replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith(("error", "×"))]
    return printable("; ".join((errors or lines)[-_MOST_LINES:]), 500)
