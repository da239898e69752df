"""The container of a run on this machine: whether it can start here, the way in, and its end."""

from __future__ import annotations

import errno
import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Optional

from genvx.core.runs import container as words
from genvx.core.runs.container import Inside, Runtime
from genvx.errors import InvalidInput, Unsatisfiable
from genvx.local.running.runtimes import ask, find
from genvx.local.runs.box import ANSWER, Box, require_runtime
from genvx.local.runs.places import home_of, name_in, place_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Callable

    from genvx.core.runs.run import RunSpec
    from genvx.local.machine import Machine
    from genvx.local.running.hold import LocalHold
    from genvx.local.runs.below import Below

_SOON = 0.1
# Seconds that what a runtime does after the end of a container has.
_TIDY = 5.0
# Where a run's command has its home: what it stores there would be lost with the container.
_HOME = "home"


def require(host: Machine, spec: RunSpec) -> None:
    """Refuse a container that cannot start here, before anything is taken for it.

    Raises:
        Unsatisfiable: there is no runtime, or it does not answer. InvalidInput: a mount has no
        source; or a Python of the host was asked for.
    """
    assert spec.container is not None, "only of a run with a container"
    if spec.python is not None:
        raise InvalidInput("--python does not go with --image: the image has its own Python")
    if spec.project is None and spec.cwd:
        words.own_mounts([os.path.join(home_of(host.environ), spec.cwd)])
    require_runtime(spec.container, host.environ)


def end_unsupervised(host: Machine, spec: RunSpec, grace: float) -> None:
    """End the container of a run whose supervisor was killed, if it has one.

    Signals to all that holds the lease would do as well, but for what removes the container from
    the runtime's list: that has the lease, too.
    """
    assert spec.container is not None, "only of a run with a container"
    try:
        found = find(spec.container.runtime, host.environ)
    except Unsatisfiable:
        return
    ending = words.ending(found.runtime, found.program, words.name_of(name_in(spec)), grace)
    if ending is not None:
        # If it fails, whoever asked goes on with signals.
        ask(ending, host.environ, time.sleep, most=grace + ANSWER)


def door_of(host: Machine, spec: RunSpec) -> Optional[Door]:
    """Return the way into the container of a run; None where what starts beside its command is
    outside, as with apptainer.

    Raises:
        Unsatisfiable: its runtime is not here any more.
    """
    if spec.container is None:
        return None
    found = find(spec.container.runtime, host.environ)
    if found.runtime is Runtime.APPTAINER:
        return None
    return Door(found.program, words.name_of(name_in(spec)))


class Door:
    """The way into a container: what starts by these words has its files, user and variables."""

    def __init__(self, program: str, name: str) -> None:
        self._program, self._name = program, name

    def command(self, argv: Sequence[str], place: str) -> tuple[str, ...]:
        """Return the words that start a command in it, in a directory there."""
        tty = os.isatty(0) and os.isatty(1)
        return words.entering(self._program, self._name, argv, place=place, tty=tty)

    def shell(self, place: str) -> tuple[str, ...]:
        """Return the words that start a login shell: bash where the image has it."""
        return self.command(words.SHELL, place)


class RunContainer(Box):
    """The container of one run.

    directory: the run's own.

    Raises:
        Unsatisfiable: as of `find`.
    """

    def __init__(self, host: Machine, spec: RunSpec, directory: str) -> None:
        assert spec.container is not None, "only of a run with a container"
        super().__init__(spec.container, words.name_of(name_in(spec)), host.environ)
        self._spec, self._directory = spec, directory

    def terminate(self, client: int, sleep: Callable[[float], None], seconds: float) -> bool:
        """Send SIGTERM to the command; return whether that is done. To be called again until it is:
        the container may be about to start.

        seconds: that are left until all is killed. A runtime that hangs must not put that off.

        Not by a signal to its client: that passes signals on only from some moment after the
        command has started. Before it, it dies of them, and leaves the container behind.
        """
        end = time.monotonic() + seconds
        most = min(ANSWER, seconds)
        code, _ = ask(words.signalling(self._program, self.name), self._environ, sleep, most=most)
        if not code:
            return True
        if self.look(sleep, min(ANSWER, end - time.monotonic()))[0] is not False:
            return False
        # It is not made yet, as while its image is pulled. The client is our child, not collected
        # yet, or has ended: the pid is no other process's.
        with suppress(ProcessLookupError):
            os.kill(client, signal.SIGTERM)
        return True

    def command(
        self, argv: tuple[str, ...], hold: LocalHold, variables: Mapping[str, str]
    ) -> tuple[tuple[str, ...], dict[str, str]]:
        """Return the words of the client that starts the command, and the client's variables.

        variables: of the command, without those of the host.

        Raises:
            OSError: a mount is not there any more, or no directory can be made.
        """
        place = place_of(self._spec, self._directory, self._environ)
        inside = Inside(
            self.name,
            self._spec.id,
            os.getuid(),
            os.getgid(),
            place,
            words.own_mounts([self._directory, place]),
            (),
            variables,
            self._spec.tty,
        )
        try:
            return self.client(argv, hold, inside, os.path.join(self._directory, _HOME))
        except InvalidInput as error:
            raise OSError(errno.ENOENT, str(error)) from None

    def tidy(
        self,
        status: int,
        hold: LocalHold,
        below: Below,
        sleep: Callable[[float], None],
        say: Callable[[str], None],
    ) -> None:
        """End the container after its client, and what the runtime still does for it. That is
        nothing that the command has left behind.

        status: with which the client has ended, as wait() says it.
        """
        if self.has_client:
            self.end(hold, sleep, say)
            tidied = time.monotonic() + _TIDY
            while below.pids() and time.monotonic() < tidied:
                sleep(_SOON)
                below.discard()
        why = "" if os.WIFSIGNALED(status) else self.explain(os.WEXITSTATUS(status), sleep)
        if why:
            say(why)
