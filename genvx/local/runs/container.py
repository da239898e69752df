"""The container of a run on this machine: what starts containers here, and that one has ended.

What holds the devices: podman's container has the lease's descriptor, apptainer's is the command
itself. Docker's is a child of its daemon, so its client holds them, and the supervisor ends the
container after its client. doctor names what is left if both are killed.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Optional

from genvx.core.runs import container as words
from genvx.core.runs.container import Inside, Mount, Runtime
from genvx.core.text import printable
from genvx.errors import InvalidInput
from genvx.local.running.runtimes import ask, find, last_line
from genvx.local.runs.places import home_of, name_in, place_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Callable

    from genvx.core.runs.container import Container
    from genvx.core.runs.run import RunSpec
    from genvx.local.machine import Machine
    from genvx.local.running.hold import LocalHold
    from genvx.local.runs.below import Below

_SOON = 0.1
# Seconds between questions whether a container has ended.
_AGAIN = 2.0
# Seconds that what a runtime does after the end of a container has.
_TIDY = 5.0
# Seconds that a runtime has on top of the grace of a command.
_ANSWER = 30.0
_ID = re.compile(r"[0-9a-f]{12,64}")
# Where a run's command has its home: what it stores there would be lost with the container.
_HOME = "home"
# What starts first in a container and passes signals on; without it, a command that does not
# handle SIGTERM never gets it, because the kernel spares the first process.
_INITS = {
    Runtime.PODMAN: ("/usr/libexec/podman/catatonit", "catatonit"),
    Runtime.DOCKER: ("/usr/libexec/docker/docker-init", "docker-init"),
}


def require(host: Machine, spec: RunSpec) -> None:
    """Refuse a container that cannot start here, before anything is taken for it.

    Raises:
        InvalidInput: there is no runtime, or it does not answer; a mount has no source; or a Python
        of the host was asked for.
    """
    assert spec.container is not None, "only of a run with a container"
    if spec.python is not None:
        raise InvalidInput("--python does not go with --image: the image has its own Python")
    found = find(spec.container.runtime, host.environ)
    mounts_of(spec.container, host.environ)
    if spec.project is None and spec.cwd:
        words.own_mounts([os.path.join(home_of(host.environ), spec.cwd)])
    if found.runtime is Runtime.APPTAINER:
        return
    # A daemon may not run, or may not be for this user. Nothing would say later whether a container
    # has ended.
    code, text = ask(words.listing(found.program, os.getuid()), host.environ, time.sleep)
    if code:
        raise InvalidInput(f"{found.runtime.value} does not answer on this host: {last_line(text)}")


def end_unsupervised(host: Machine, spec: RunSpec, grace: float) -> None:
    """End the container of a run whose supervisor was killed, if it has one.

    Signals to all that holds the lease would do as well, but for what removes the container from
    the runtime's list: that has the lease, too.
    """
    assert spec.container is not None, "only of a run with a container"
    try:
        found = find(spec.container.runtime, host.environ)
    except InvalidInput:
        return
    ending = words.ending(found.runtime, found.program, words.name_of(name_in(spec)), grace)
    if ending is not None:
        # If it fails, whoever asked goes on with signals.
        ask(ending, host.environ, time.sleep, most=grace + _ANSWER)


def mounts_of(container: Container, environ: Mapping[str, str]) -> tuple[Mount, ...]:
    """Return what was asked to be mounted, with absolute sources.

    Raises:
        InvalidInput: one is not there.
    """
    found = []
    for mount in container.mounts:
        source = mount.source
        if source == "~" or source.startswith("~/"):
            source = source[2:]
        source = os.path.normpath(os.path.join(home_of(environ), source))
        if not os.path.exists(source):
            raise InvalidInput(f"--mount: no such file or directory: {printable(source, 300)}")
        found.append(Mount(source, mount.target, mount.read_only))
    return tuple(found)


def door_of(host: Machine, spec: RunSpec) -> Optional[Door]:
    """Return the way into the container of a run; None where what starts beside its command is
    outside, as with apptainer.

    Raises:
        InvalidInput: its runtime is not here any more.
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
        line = "command -v bash >/dev/null 2>&1 && exec bash -l; exec sh -l"
        return self.command(("sh", "-c", line), place)


class RunContainer:
    """The container of one run.

    directory: the run's own.

    Raises:
        InvalidInput: as of `find`.
    """

    def __init__(self, host: Machine, spec: RunSpec, directory: str) -> None:
        assert spec.container is not None, "only of a run with a container"
        self._spec, self._container, self._directory = spec, spec.container, directory
        self._environ = dict(host.environ)
        found = find(spec.container.runtime, host.environ)
        self._runtime, self._program = found.runtime, found.program
        self.name = words.name_of(name_in(spec))

    @property
    def holds_lease(self) -> bool:
        """Whether the client passes descriptor 3 on to the container: the lease is to be there."""
        return self._runtime is Runtime.PODMAN

    @property
    def has_client(self) -> bool:
        """Whether the command is below a client of a runtime, which alone can send it SIGTERM."""
        return self._runtime is not Runtime.APPTAINER

    def terminate(self, client: int, sleep: Callable[[float], None], seconds: float) -> bool:
        """Send SIGTERM to the command; return whether that is done. To be called again until it is:
        the container may be about to start.

        seconds: that are left until all is killed. A runtime that hangs must not put that off.

        Not by a signal to its client: that passes signals on only from some moment after the
        command has started. Before it, it dies of them, and leaves the container behind.
        """
        end = time.monotonic() + seconds
        most = min(_ANSWER, seconds)
        code, _ = ask(words.signalling(self._program, self.name), self._environ, sleep, most=most)
        if not code:
            return True
        if self._look(sleep, min(_ANSWER, end - time.monotonic()))[0] is not False:
            return False
        # It is not made yet, as while its image is pulled. The client is our child, not collected
        # yet, or has ended: the pid is no other process's.
        with suppress(ProcessLookupError):
            os.kill(client, signal.SIGTERM)
        return True

    def before(self) -> None:
        """Start what the runtime keeps for later containers. To be called before we are a
        subreaper: podman's pause process never ends, and would be taken for the command's.
        """
        if self._runtime is Runtime.PODMAN and os.getuid():
            ask((self._program, "unshare", "true"), self._environ, time.sleep)

    def command(
        self, argv: tuple[str, ...], hold: LocalHold, variables: Mapping[str, str]
    ) -> tuple[tuple[str, ...], dict[str, str]]:
        """Return the words of the client that starts the command, and the client's variables.

        variables: of the command, without those of the host.

        Raises:
            OSError: a mount is not there any more, or no directory can be made.
        """
        try:
            mounts = mounts_of(self._container, self._environ)
        except InvalidInput as error:
            raise OSError(errno.ENOENT, str(error)) from None
        place = place_of(self._spec, self._directory, self._environ)
        given = dict(variables)
        if self._runtime is not Runtime.APPTAINER:  # which mounts the user's home
            home = os.path.join(self._directory, _HOME)
            with suppress(FileExistsError):
                os.mkdir(home, 0o700)
            given.setdefault("HOME", home)
            # Not by number: only these devices are in there, counted from 0.
            given["CUDA_VISIBLE_DEVICES"] = ",".join(each.uuid for each in hold.devices)
        inside = Inside(
            self.name,
            self._spec.id,
            os.getuid(),
            os.getgid(),
            place,
            words.own_mounts([self._directory, place]) + mounts,
            tuple(each.uuid for each in hold.devices if not each.simulated),
            given,
            self._spec.tty,
            any(shutil.which(each) for each in _INITS.get(self._runtime, ())),
        )
        found = words.words(self._runtime, self._program, self._container.image, inside, argv)
        return found, words.client_variables(self._runtime, self._environ, given)

    def end(
        self,
        hold: LocalHold,
        below: Below,
        sleep: Callable[[float], None],
        say: Callable[[str], None],
    ) -> None:
        """End the container if its client has left it behind; return once it is gone.

        Docker is asked until then, because the container uses the devices; only the release of the
        environment by its id ends that. Podman's container is below us, and ends with all that is.
        """
        ending = words.ending(self._runtime, self._program, self.name)
        if ending is None:
            return
        told = False
        while hold.is_published():
            is_there, text = self._look(sleep)
            if is_there is False:
                break
            if is_there:
                code, text = ask(ending, self._environ, sleep)
                if not code:
                    continue
            if self._runtime is Runtime.PODMAN:
                say(f"podman does not remove container {self.name}: {last_line(text)}")
                break
            if not told:
                told = True
                say(
                    f"docker does not end container {self.name}: {last_line(text)}; the GPUs stay "
                    f"leased until it does; genvx release {self._spec.id} gives them back"
                )
            sleep(_AGAIN)
        # What the runtime does after the end is nothing that the command has left behind.
        tidied = time.monotonic() + _TIDY
        while below.pids() and time.monotonic() < tidied:
            sleep(_SOON)
            below.discard()

    def _look(
        self, sleep: Callable[[float], None], most: float = _ANSWER
    ) -> tuple[Optional[bool], str]:
        """Whether the container is in the runtime's list, None if it does not say; its answer."""
        code, text = ask(words.named(self._program, self.name), self._environ, sleep, most=most)
        # Warnings come along.
        return (None if code else any(map(_ID.fullmatch, text.split()))), text
