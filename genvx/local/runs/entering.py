"""Entering a live run: joining its environment, to start something there as its command was.

What is started has the run's directory and variables. It is a member of the run's environment: it
holds a lease, and has the environment's id among the variables with which it was started.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Optional

from genvx.core.leases.starter import Starter
from genvx.core.runs.entry import require_entry
from genvx.core.text import COMMAND_LIMIT, printable
from genvx.errors import InvalidInput, UnknownEnvironment
from genvx.local.granting.joining import join
from genvx.local.running.hold import find_command
from genvx.local.runs.catalog import RunCatalog
from genvx.local.runs.places import place_of
from genvx.local.runs.surroundings import prepared_variables, surroundings
from genvx.local.runs.variables import variables_of
from genvx.local.shells import user_shell
from genvx.shell.prepare import FIRST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from genvx.core.command import Command
    from genvx.core.running import Stream
    from genvx.core.runs.runinfo import RunInfo
    from genvx.local.machine import Machine
    from genvx.local.running.hold import LocalHold
    from genvx.local.running.started import LocalRunning
    from genvx.local.runs.container import Door


def enter(host: Machine, wanted: str = "", *, command: str) -> Entry:
    """Join the environment of a live run of one's own.

    wanted: the run, by id, name or number. command: what starts inside, for people to read.

    Raises:
        UnknownRun: there is none. NotOwner: it is another user's. InvalidInput: it waits, has moved
        or is over, or the directory of its command is gone.
    """
    catalog = RunCatalog(host)
    found = catalog.find(wanted)
    require_entry(found)
    try:
        hold = join(host, found.id, command=printable(command, COMMAND_LIMIT))
    except UnknownEnvironment:
        require_entry(catalog.find(found.id))
        raise
    try:
        # Check again, now that we hold a lease: the end of a run looks for its guests, and may have
        # looked before we were one.
        run = catalog.find(found.id)
        require_entry(run)
        with catalog.open(run) as opened:
            directory = opened.path
        place = place_of(run.spec, directory, host.environ)
        if not os.path.isdir(place):
            raise InvalidInput(
                f"the directory of run {run.label_or_id} is gone: {printable(place, 300)}"
            )
        granted = hold.grant.variables
        around, prepared = surroundings(host, run.id), prepared_variables(directory)
        port: Optional[int] = getattr(run.state, "port", None)
        variables = {
            **around,
            **granted,
            **variables_of(run.spec, directory, {**around, **granted}, port),
            # Not those of the devices, which may have changed since.
            **{name: text for name, text in prepared.items() if name not in granted},
        }
        usual = around.get("PATH", os.defpath).split(os.pathsep)
        first = [e for e in prepared.get("PATH", "").split(os.pathsep) if e and e not in usual]
        return Entry(hold, run, place, variables, os.pathsep.join(first), _door(host, run))
    except BaseException:
        hold.release()
        raise


def _door(host: Machine, run: RunInfo) -> Optional[Door]:
    if run.spec.container is None:
        return None
    # Imported here: few runs have a container.
    from genvx.local.runs.container import door_of

    return door_of(host, run.spec)


class Entry(Starter):
    """A share in a live run, and all that is needed to start something inside of it.

    hold: of the run's environment. directory: where the run's command started. variables: on top of
    those of the hold: those among which the run was started, its id and its directory, and what was
    set for its command. first: what its Python and its setup line have put on its PATH. door: into
    its container; None if it has none.
    """

    def __init__(
        self,
        hold: LocalHold,
        run: RunInfo,
        directory: str,
        variables: Mapping[str, str],
        first: str = "",
        door: Optional[Door] = None,
    ) -> None:
        self.hold = hold
        self.run_info = run
        self.directory = directory
        self.variables = variables
        self._first = first
        self._door = door

    def environment(self) -> dict[str, str]:
        """Return all variables of what starts inside."""
        return {**self.hold.variables(), **self.variables}

    def start(
        self,
        command: Command,
        *,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        cwd: Optional[str] = None,
        env: Optional[Mapping[str, str]] = None,
    ) -> LocalRunning:
        """Start a command inside of the run; cwd: counted from the run's directory."""
        return self.hold.start(
            command,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            cwd=self.place(cwd),
            env={**self.variables, **(env or {})},
        )

    def supervise(
        self,
        argv: Sequence[str],
        *,
        stdout: int = 1,
        watch_client: bool = False,
        variables: Optional[Mapping[str, str]] = None,
        cwd: Optional[str] = None,
        alone: bool = False,
    ) -> int:
        """Run a command inside of the run as its parent; return its exit code. See `LocalHold`.

        It runs on the host, also for a run in a container; see `in_container`.
        """
        return self.hold.supervise(
            argv,
            stdout=stdout,
            watch_client=watch_client,
            variables={**self.variables, **(variables or {})},
            cwd=self.place(cwd),
            die_with_us=True,
            alone=alone,
        )

    @property
    def has_container(self) -> bool:
        """Whether there is a way into a container of the run."""
        return self._door is not None

    def in_container(self, argv: Sequence[str], cwd: Optional[str]) -> Optional[Sequence[str]]:
        """Return the words that run a command in the run's container; None if it has none.

        argv: empty for a shell of the image. There is a terminal there if our streams have one.
        """
        if self._door is None:
            return None
        place = self.place(cwd)
        return self._door.command(argv, place) if argv else self._door.shell(place)

    def run_command(self, command: Sequence[str]) -> int:
        """Run a command, which must exist, as `supervise` does.

        Raises:
            CommandNotFound: it does not exist. CommandNotExecutable: it is not executable.
        """
        inside = self.in_container(command, None)
        # A path counts from the run's directory, where we are not.
        if inside is None and "/" not in command[0]:
            find_command(command, self.environment())
        return self.supervise(inside or command)

    def run_shell(self) -> int:
        """Run the user's shell, which reads commands from stdin, as `supervise` does."""
        return self.supervise(self.in_container((), None) or [user_shell(self.environment())])

    def open_shell(
        self,
        *,
        prompt: bool = True,
        host: str = "",
        login: bool = True,
        path: str = "",
        stays: bool = False,
    ) -> int:
        """Become the user's shell inside of the run, or its parent; see `enter_shell`. In a
        container it is a shell of the image.
        """
        inside = self.in_container((), None)
        if inside is not None:
            return self.supervise(inside)
        return self.hold.enter_shell(
            prompt=prompt,
            host=host,
            login=login,
            path=path,
            # A login shell sets its PATH anew; this comes first on it all the same.
            variables={**self.variables, **({FIRST: self._first} if self._first else {})},
            cwd=self.directory,
            stays=stays,
        )

    def place(self, cwd: Optional[str]) -> str:
        """A directory, counted from that of the run.

        Raises:
            InvalidInput: there is none.
        """
        place = os.path.join(self.directory, cwd or "")
        if not os.path.isdir(place):
            raise InvalidInput(f"no such directory: {printable(place, 300)}")
        return place

    def release(self) -> None:
        """Leave the run. Idempotent."""
        self.hold.release()
