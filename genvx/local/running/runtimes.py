"""The runtimes for containers on this machine, and what they answer."""

from __future__ import annotations

import os
import shutil
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Optional

from genvx.core.runs.container import Runtime, listing, run_of
from genvx.core.text import printable
from genvx.core.value import value
from genvx.errors import Unsatisfiable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Callable

# Seconds that a client has for an answer.
_ANSWER = 30.0
_MOST_BYTES = 1 << 16


@value
class Found:
    """A runtime of this machine, and the path of its client."""

    runtime: Runtime
    program: str


def all_here(environ: Mapping[str, str]) -> Iterator[Found]:
    """The runtimes of this machine, each once: docker's client may be podman's."""
    found = []
    for runtime in Runtime:
        with suppress(Unsatisfiable):
            one = find(runtime, environ)
            if one.runtime not in found:
                found.append(one.runtime)
                yield one


def find(wanted: Optional[Runtime], environ: Mapping[str, str]) -> Found:
    """Return the runtime that was asked for, or the first that is here.

    Raises:
        Unsatisfiable: it is not here. Another host may have it.
    """
    for runtime in Runtime if wanted is None else (wanted,):
        for name in runtime.programs:
            program = shutil.which(name, path=environ.get("PATH", os.defpath))
            if program is not None:
                path = os.path.abspath(program)
                return Found(_behind(path, environ) if name == "docker" else runtime, path)
    if wanted is not None:
        raise Unsatisfiable(
            f"{wanted.value} is not installed on this host; without --runtime, genvx takes what is"
        )
    raise Unsatisfiable(
        "no container runtime on this host; --image needs podman, docker or apptainer there"
    )


def _behind(docker: str, environ: Mapping[str, str]) -> Runtime:
    """The runtime behind the name docker: distributions have a program of that name which is
    podman, and would refuse docker's words for GPUs and for the user.
    """
    code, text = ask((docker, "--version"), environ, time.sleep, most=5.0)
    return Runtime.PODMAN if not code and "podman version" in text.lower() else Runtime.DOCKER


@value
class Listed:
    """A runtime of this machine, and what it says. failure: why it does not answer, or nothing.
    containers: those of a user's runs: the name of each, and the id of its run.
    """

    runtime: Runtime
    failure: str = ""
    containers: tuple[tuple[str, str], ...] = ()


def listed(found: Found, environ: Mapping[str, str], uid: int) -> Listed:
    """Ask a runtime for the containers of a user's runs."""
    if found.runtime is Runtime.APPTAINER:
        return Listed(found.runtime)
    code, text = ask(listing(found.program, uid), environ, time.sleep, most=5.0)
    if code:
        return Listed(found.runtime, last_line(text))
    # Warnings come along.
    named = tuple((word, run) for word in text.split() if (run := run_of(word)))
    return Listed(found.runtime, containers=named)


def ask(
    argv: tuple[str, ...],
    environ: Mapping[str, str],
    sleep: Callable[[float], object],
    *,
    most: float = _ANSWER,
) -> tuple[int, str]:
    """Run a client to its end; return its exit code, and what it has written.

    sleep: is called with seconds between looks. most: seconds that it has; then it is killed.
    """
    try:
        read, write = os.pipe()
        try:
            pid = os.posix_spawn(
                argv[0],
                argv,
                dict(environ),
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, write, 1),
                    (os.POSIX_SPAWN_DUP2, write, 2),
                ],
                # A supervisor blocks and ignores signals; a client needs them.
                setsigmask=[],
                setsigdef=[signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE],
                # Ctrl-C in our terminal is for the command. It must not break its tidying up.
                setpgroup=0,
            )
        finally:
            os.close(write)
    except OSError as error:
        return 127, error.strerror or "it cannot be started"
    try:
        os.set_blocking(read, False)
        end = time.monotonic() + most
        data = b""
        while True:
            done, status = os.waitpid(pid, os.WNOHANG)
            with suppress(BlockingIOError):
                data = (data + os.read(read, _MOST_BYTES))[-_MOST_BYTES:]
            if done:
                return _code(status), data.decode("utf-8", "replace")
            if time.monotonic() >= end:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                return 124, f"no answer in {most:g} s"
            sleep(0.02)
    finally:
        os.close(read)


def _code(status: int) -> int:
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def last_line(text: str) -> str:
    """The last line of an answer, for people."""
    lines = [line for line in text.splitlines() if line.strip()]
    return printable(lines[-1], 300) if lines else "it says nothing"
