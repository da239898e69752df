"""A container on this machine: the words of its client, and that it has ended.

What holds the devices: podman's container has the lease's descriptor, apptainer's is the command
itself. Docker's is a child of its daemon, so its client holds them, and whoever is the parent of
the client ends the container after it. doctor names what is left if both are killed.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from typing import TYPE_CHECKING, Optional

from genvx.core.runs import container as words
from genvx.core.runs.container import Inside, Mount, Runtime
from genvx.core.text import printable
from genvx.core.value import replace
from genvx.errors import InvalidInput, Unsatisfiable
from genvx.local import facts
from genvx.local.running import subids
from genvx.local.running.runtimes import ask, find, last_line
from genvx.local.runs.places import home_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from signal import Signals
    from typing import Callable

    from genvx.core.runs.container import Container
    from genvx.local.running.hold import LocalHold
    from genvx.local.running.runtimes import Found

# Seconds between questions whether a container has ended.
_AGAIN = 2.0
# Seconds that a runtime has to pass a signal on. One that hangs must not put off the next one.
_SOON = 5.0
ANSWER = 30.0
"""Seconds that a runtime has for an answer, on top of the grace of a command."""
_ID = re.compile(r"[0-9a-f]{12,64}")
# What starts first in a container and passes signals on; without it, a command that does not
# handle SIGTERM never gets it, because the kernel spares the first process.
_INITS = {
    Runtime.PODMAN: ("/usr/libexec/podman/catatonit", "catatonit"),
    Runtime.DOCKER: ("/usr/libexec/docker/docker-init", "docker-init"),
}


def require_runtime(container: Container, environ: Mapping[str, str]) -> Found:
    """Return what starts a container here, before anything is taken for it.

    Raises:
        Unsatisfiable: there is no runtime, or it does not answer. InvalidInput: a mount has no
        source.
    """
    mounts_of(container, environ)
    found = find(container.runtime, environ)
    if found.runtime is Runtime.PODMAN:
        missing = subids.lack(environ, os.getuid())
        if missing is not None:
            raise Unsatisfiable(
                f"rootless podman lacks {missing.what} on this host; {missing.advice}"
            )
    if found.runtime is not Runtime.APPTAINER:
        # A daemon may not run, or may not be for this user. Nothing would say later whether a
        # container has ended.
        code, text = ask(words.listing(found.program, os.getuid()), environ, time.sleep)
        if code:
            raise Unsatisfiable(
                f"{found.runtime.value} does not answer on this host: {last_line(text)}"
            )
    return found


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


class Box:
    """One container.

    name: of the container.

    Raises:
        Unsatisfiable: as of `find`.
    """

    def __init__(self, container: Container, name: str, environ: Mapping[str, str]) -> None:
        self.name = name
        self._container = container
        self._environ = dict(environ)
        found = find(container.runtime, environ)
        self._runtime, self._program = found.runtime, found.program

    @property
    def holds_lease(self) -> bool:
        """Whether the client passes descriptor 3 on to the container: the lease is to be there."""
        return self._runtime is Runtime.PODMAN

    @property
    def has_client(self) -> bool:
        """Whether the command is below a client of a runtime, which alone can send it SIGTERM."""
        return self._runtime is not Runtime.APPTAINER

    def before(self) -> None:
        """Start what the runtime keeps for later containers. To be called before the client starts
        with the lease, and before we are a subreaper: podman's pause process never ends. It would
        keep the lease, and be taken for the command's.
        """
        if self._runtime is Runtime.PODMAN and os.getuid():
            ask((self._program, "unshare", "true"), self._environ, time.sleep)

    def client(
        self, argv: tuple[str, ...], hold: LocalHold, inside: Inside, home: str
    ) -> tuple[tuple[str, ...], dict[str, str]]:
        """Return the words of the client that starts a command, and the client's variables.

        inside: without what the image, the user and the hold say. home: of the command, where the
        runtime does not mount the user's.

        Raises:
            InvalidInput: a mount is not there any more.
        """
        mounts = mounts_of(self._container, self._environ)
        given = dict(inside.variables)
        if self._runtime is not Runtime.APPTAINER:  # which mounts the user's home
            os.makedirs(home, 0o700, exist_ok=True)
            given.setdefault("HOME", home)
            # Not by number: only these devices are in there, counted from 0.
            given["CUDA_VISIBLE_DEVICES"] = ",".join(each.uuid for each in hold.devices)
        devices = tuple(each.uuid for each in hold.devices if not each.simulated)
        given.update(words.hook_variables(self._runtime, devices))
        inside = replace(
            inside,
            mounts=inside.mounts + mounts,
            devices=devices,
            variables=given,
            init=any(shutil.which(each) for each in _INITS.get(self._runtime, ())),
        )
        found = words.words(self._runtime, self._program, self._container.image, inside, argv)
        return found, words.client_variables(self._runtime, self._environ, given)

    def signal(self, number: Signals, sleep: Callable[[float], object]) -> bool:
        """Send the command a signal; return whether it got it, which it does once it runs."""
        asked = words.signalling(self._program, self.name, number.name.replace("SIG", "", 1))
        return not ask(asked, self._environ, sleep, most=_SOON)[0]

    def end(
        self,
        hold: LocalHold,
        sleep: Callable[[float], object],
        say: Callable[[str], object],
    ) -> bool:
        """End the container if its client has left it behind; return whether it is surely gone.

        Docker is asked until then, because the container uses the devices; only the release of the
        environment by its id ends that.
        """
        ending = words.ending(self._runtime, self._program, self.name)
        if ending is None:
            return False
        told = False
        while True:
            is_there, text = self.look(sleep)
            if is_there is False:
                return True
            if is_there:
                code, text = ask(ending, self._environ, sleep)
                if not code:
                    continue
            if self._runtime is Runtime.PODMAN:
                say(f"podman does not remove container {self.name}: {last_line(text)}")
                return False
            if not hold.is_published():
                return False
            if not told:
                told = True
                say(
                    f"docker does not end container {self.name}: {last_line(text)}; the GPUs stay "
                    f"leased until it does; genvx release {hold.environment_id} gives them back"
                )
            sleep(_AGAIN)

    def look(
        self, sleep: Callable[[float], object], most: float = ANSWER
    ) -> tuple[Optional[bool], str]:
        """Whether the container is in the runtime's list, None if it does not say; its answer."""
        code, text = ask(words.named(self._program, self.name), self._environ, sleep, most=most)
        # Warnings come along.
        return (None if code else any(map(_ID.fullmatch, text.split()))), text

    def explain(self, code: int, sleep: Callable[[float], object]) -> str:
        """Return a line about why the command was never started; empty if that is not known.

        code: with which the client has ended. It has written why, in several lines.
        """
        image = self._container.image
        if code != words.OWN_FAILURE or not self.has_client:
            return ""
        if not ask(words.having(self._program, image), self._environ, sleep)[0]:
            return ""
        short = (
            ""
            if "." in image.partition("/")[0] or ":" in image.partition("/")[0]
            else ("; a whole name begins with a registry, as docker.io/library/python:3.12 does")
        )
        return (
            f"{self._runtime.value} on {facts.hostname()} has no image {image}, and could not pull "
            f"it; to try there: {words.pulling(self._program, image)}{short}"
        )
