"""What is wrong on a host: its own findings, its clock, and the Python that its remote names."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol, TypeVar

from genvx.core.clocks import of_clock
from genvx.core.finding import ERROR, OK, Finding
from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.core.text import printable
from genvx.core.value import replace
from genvx.core.wire.job import Job
from genvx.core.wire.questions import Examine
from genvx.core.wire.runoperations import FindPython
from genvx.core.wire.treeoperations import FindTree
from genvx.errors import GenvxError, HostUnreachable, StateError
from genvx.ssh.deadline import Deadline
from genvx.ssh.ending import close_channel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from genvx.core.prelude import Prelude
    from genvx.core.projects.python import Python
    from genvx.core.requests.ask import Wanted
    from genvx.core.wire.operation import Operation
    from genvx.fleet.host import Host
    from genvx.fleet.hosts.hostspec import HostSpec
    from genvx.fleet.remotehold import Started
    from genvx.fleet.shipping.shipment import Shipment

R = TypeVar("R")

_MOST_SAID = 500


class Examined(Protocol):
    """What is needed of a host: an SSHHost."""

    @property
    def patience(self) -> float:
        """Seconds that an answer may take."""

    @property
    def spec(self) -> HostSpec:
        """How it is reached, and what comes before each command there."""

    def answer(self, operation: Operation[R]) -> R:
        """Perform an operation there."""

    def start(self, wanted: Wanted, job: Job) -> Started:
        """Start a command there."""


def examined(host: Examined) -> tuple[Finding, ...]:
    """Examine a host.

    Raises:
        HostError: it could not be asked.
    """
    asked = time.time_ns()
    answer = host.answer(Examine())
    clock = of_clock(asked, answer.epoch_ns, time.time_ns())
    prelude = host.spec.prelude
    return (*answer.findings, clock, *(() if prelude is None else _of_prelude(host, prelude)))


def of_project(host: Host, project: Shipment, python: Python | None = None) -> Iterator[Finding]:
    """Find out what a host has of a project. python: the one that its runs have, if it is made.

    Raises:
        HostError: it could not be asked.
    """
    recorded = project.recorded
    there = host.answer(FindTree(recorded.tree))
    what = "is there" if there else "is not there; a run sends what is missing"
    yield Finding("code", OK, f"{recorded}: {what}")
    spec = getattr(host, "spec", None)  # this machine has none
    if python is None or not python.needs:
        return
    if spec is not None and spec.prelude is not None and not python.typed:
        return  # the Python of the remote comes first, and is examined by itself
    if spec is not None and spec.prerelease:
        python = replace(python, prerelease=True)
    try:
        standing = host.answer(FindPython(python))
    except StateError as error:
        yield Finding("python", ERROR, f"environment for {python.source}: {error}")
        return
    made = f"is not there; a run makes it, with {printable(standing.installer, 60)}"
    what = "is there" if standing.there else made
    yield Finding("python", OK, f"environment for {python.source}: {what}")


def _of_prelude(host: Examined, prelude: Prelude) -> Iterator[Finding]:
    """Find out whether the Python that a remote names is there, by a command that starts in it."""
    what = f"{prelude.key} {printable(prelude.text, 100)}"
    said = bytearray()

    def hear(data: bytes) -> None:
        said.extend(data[: _MOST_SAID - len(said)])

    try:
        code = _code_of_python(host, hear)
    except HostUnreachable:
        raise
    except GenvxError as error:
        yield Finding("python", ERROR, f"{what}: {error}")
        return
    if code is None:
        yield Finding("python", ERROR, f"{what}: not done within {host.patience:g} s")
        return
    lines = said.decode("utf-8", "replace").strip().splitlines() or [f"exit code {code}"]
    shown = printable(lines[-1].removeprefix("genvx: "), _MOST_SAID)
    if code:
        yield Finding("python", ERROR, f"{what}: {shown}", "make it on the host, or correct it")
    else:
        yield Finding("python", OK, f"{what}: {shown}")


def _code_of_python(host: Examined, hear: Callable[[bytes], None]) -> int | None:
    """Return the exit code of `python --version` there; None if it does not end in time."""
    started = host.start(Ask(Requirements(), command="check"), Job(("python", "--version")))
    # What a remote names may be any command, and wait for something that never comes.
    with Deadline(host.patience) as deadline:
        deadline.closes(lambda: close_channel(started.channel))
        try:
            code = started.communicate(None, hear, hear)
        except HostUnreachable:
            if not deadline.expired:
                raise
            return None
        # A command that is hung up on may end with a code of its own.
        return None if deadline.expired else code
