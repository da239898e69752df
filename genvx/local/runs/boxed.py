"""A command in a container that holds devices and is no run: it ends with its client.

It is started as the command of a run is, with the same words. We are the parent of the runtime's
client, as of a command without a container. The runtime passes signals on, and ends what the client
leaves behind.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Optional

from genvx.core.runs import container as words
from genvx.core.runs.container import LEASE_DESCRIPTOR, Inside
from genvx.core.text import printable
from genvx.errors import InvalidInput
from genvx.local.running.agenda import send
from genvx.local.running.execute import NOT_EXECUTABLE, PASSED_ON
from genvx.local.running.supervise import Client
from genvx.local.runs.box import Box, require_runtime
from genvx.local.runs.places import home_of, shared_home

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from genvx.core.runs.container import Container
    from genvx.local.machine import Machine
    from genvx.local.running.hold import LocalHold

# The variables of a terminal that what runs in it needs to know.
_OF_TERMINALS = ("TERM", "COLORTERM")
# Seconds between attempts to signal a container that is about to start, and how long that may take.
_SOON, _STARTS = 0.1, 5.0
# Whether a child has ended; it is collected by others.
_ENDED = os.WEXITED | os.WNOHANG | os.WNOWAIT


class Boxed:
    """What will start in a container, checked before anything is taken for it.

    cwd: where it starts, counted from where we are. place: that, absolute.

    Raises:
        Unsatisfiable: there is no runtime, or it does not answer. InvalidInput: a mount has no
        source, or there is no such directory, or it cannot be mounted.
    """

    def __init__(self, host: Machine, container: Container, cwd: Optional[str] = None) -> None:
        self._environ = host.environ
        self._container = container
        self.place = os.path.normpath(os.path.join(_here(host.environ), cwd or ""))
        if not os.path.isdir(self.place):
            raise InvalidInput(f"no such directory: {printable(self.place, 300)}")
        if self.place == "/":
            raise InvalidInput(
                "a container has its own /: with --image, start in another directory"
            )
        words.own_mounts([self.place, shared_home(host.environ)])
        require_runtime(container, host.environ)

    def supervise(
        self,
        hold: LocalHold,
        argv: Optional[Sequence[str]],
        *,
        stdout: int = 1,
        watch_client: bool = False,
        variables: Optional[Mapping[str, str]] = None,
    ) -> int:
        """Run a command in the container as `LocalHold.supervise` does; return its exit code.

        The devices are free once the container is gone. argv: None for a login shell of the image.
        """
        reads = not _in_background()
        tty = reads and os.isatty(0) and os.isatty(stdout)
        try:
            box, client, its = self.prepared(hold, argv, variables or {}, tty=tty, reads=reads)
        except (InvalidInput, OSError) as error:
            _say(getattr(error, "strerror", None) or str(error))
            hold.release()
            return NOT_EXECUTABLE
        return hold.supervise(
            client,
            stdout=stdout,
            watch_client=watch_client,
            variables=its,
            cwd=self.place,
            # Signals go to the container, not to all that the client has started.
            alone=True,
            client=BoxClient(box, hold) if box.has_client else None,
        )

    def prepared(
        self,
        hold: LocalHold,
        argv: Optional[Sequence[str]],
        variables: Mapping[str, str],
        *,
        tty: bool = False,
        reads: bool = True,
    ) -> tuple[Box, tuple[str, ...], dict[str, str]]:
        """Return a container for a command under a hold, the words of its client, and the client's
        variables.

        tty: whether there is a terminal. reads: whether it reads stdin.

        Raises:
            InvalidInput: a mount is not there any more. OSError: its home cannot be made.
        """
        name = words.one_name_of(hold.environment_id, os.urandom(4).hex())
        box = Box(self._container, name, self._environ)
        box.before()
        given = {**hold.grant.variables, **variables}
        if tty:
            given = {**{n: self._environ[n] for n in _OF_TERMINALS if n in self._environ}, **given}
        home = shared_home(self._environ)
        inside = Inside(
            name,
            hold.environment_id,
            os.getuid(),
            os.getgid(),
            self.place,
            words.own_mounts([self.place, home]),
            (),
            given,
            tty,
            reads,
        )
        return (box, *box.client(tuple(words.SHELL if argv is None else argv), hold, inside, home))


class BoxClient(Client):
    """The client of a runtime, which stands for what runs in the container."""

    def __init__(self, box: Box, hold: LocalHold) -> None:
        self._box, self._hold = box, hold
        self._has_run = False
        self.lease_as = LEASE_DESCRIPTOR if box.holds_lease else None

    def deliver(self, pid: int, number: signal.Signals) -> None:
        """Send a signal to the command, or to the client where there is no container yet.

        The client passes signals on, too, but only from some moment after the command has started.
        Before it, it dies of them.
        """
        if number is signal.SIGKILL:
            send(pid, number)
            return
        end = time.monotonic() + _STARTS
        while not self._box.signal(number, time.sleep):
            if self._has_run or os.waitid(os.P_PID, pid, _ENDED) is not None:
                return
            if self._box.look(time.sleep)[0] is False or time.monotonic() > end:
                send(pid, number)
                return
            time.sleep(_SOON)
        self._has_run = True

    def ended(self, code: int) -> bool:
        """End the container, if the client has left it behind."""
        # An impatient Ctrl-C must not leave it there.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
        try:
            gone = self._box.end(self._hold, time.sleep, _say)
            why = self._box.explain(code, time.sleep)
            if why:
                _say(why)
            return gone
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _here(environ: Mapping[str, str]) -> str:
    """The directory in which we are, by the name that people have for it."""
    for name in (environ.get("PWD", ""), home_of(environ)):
        try:
            if os.path.isabs(name) and os.path.samefile(name, "."):
                return name
        except OSError:
            continue
    return os.getcwd()


def _in_background() -> bool:
    """Whether the terminal of our stdin is not ours now; a client that read it would be stopped."""
    try:
        return os.tcgetpgrp(0) != os.getpgrp()
    except OSError:
        return False  # it is no terminal


def _say(line: str) -> None:
    with suppress(OSError):  # nobody reads it any more
        os.write(2, f"genvx: {line}\n".encode("utf-8", "replace"))
