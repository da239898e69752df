"""`genvx.run`, `genvx.runs` and `genvx.find_run`: commands on the devices of this machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal, overload

from genvx.core.command import words_of
from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import requirements_of
from genvx.local.host import LocalHost

if TYPE_CHECKING:
    import subprocess
    import threading
    from collections.abc import Mapping, Sequence

    from genvx.core.command import Command
    from genvx.core.runs.debugport import DebugPort
    from genvx.core.runs.service import Service
    from genvx.fleet.detaching.run import Run
    from genvx.local.running.hold import LocalHold


@overload
def run(
    command: Command,
    gpus: int | str = 0,
    *,
    detach: Literal[True],
    memory: int | None = None,
    name: str = "",
    wait: float | None = None,
    time: float | None = None,
    visible_as: str | None = None,
    cwd: str | None = None,
    env: Mapping[str, str] | None = None,
    tags: Sequence[str] = (),
    hold: float | None = None,
    hold_when: str = "always",
    retries: int = 0,
    notify: str | Sequence[str] = (),
    tty: bool = False,
    log_limit: int | None = None,
    debug_port: DebugPort | None = None,
    service: Service | None = None,
    project: str | os.PathLike[str] | None = None,
    follow_links: bool = False,
    yes: bool = False,
    python: str | None = None,
    extras: Sequence[str] = (),
    wheels: str | os.PathLike[str] | None = None,
    setup: str = "",
    image: str | None = None,
    runtime: str | None = None,
    mounts: str | Sequence[str] = (),
) -> Run: ...


@overload
def run(
    command: Command,
    gpus: int | str = 0,
    *,
    detach: Literal[False] = False,
    memory: int | None = None,
    name: str = "",
    wait: float | None = None,
    time: float | None = None,
    visible_as: str | None = None,
    cwd: str | None = None,
    env: Mapping[str, str] | None = None,
    image: str | None = None,
    runtime: str | None = None,
    mounts: str | Sequence[str] = (),
    check: bool = False,
    capture_output: bool = False,
    input: bytes | None = None,
    timeout: float | None = None,
) -> subprocess.CompletedProcess[bytes]: ...


def run(
    command: Command, gpus: int | str = 0, *, detach: bool = False, **more: Any
) -> Run | subprocess.CompletedProcess[bytes]:
    """Run a command on devices of this machine: to its end, or with `detach` without us.

    command: a list of words, or a line for `sh -c`. gpus, memory, name, wait, time, visible_as:
    the devices, as of `genvx.activate`; `time` ends the command. cwd: where it starts, by default
    here. env: variables for it. image: it starts in a container of this image; runtime: "podman",
    "docker" or "apptainer" starts that, by default the first that is there; mounts: "A:B" or
    "A:B:ro" shows a path of the host in it.

    Without `detach`: it ends with this program at the latest, and check, capture_output, input and
    timeout are those of `subprocess.run`.

    With `detach` it goes on when this program ends, and the result is a `genvx.Run` that waits or
    runs. Its output goes to its log. tags: of the run. hold: seconds for which its devices are kept
    after its end; hold_when: "always" or "on-failure". retries: how often it starts again after a
    failure. notify: who is told of it, as for `--notify`: a text, or several. tty: it runs in a
    terminal. log_limit: bytes of its log that are kept, of the last ones; None keeps all.
    debug_port: an SSH server for this run only, with keys of its own. service: it serves on a port
    of its host, which it finds in $PORT and in place of {port} in its words. project: a directory
    here of which the run gets a copy, in which it starts; cwd is a directory of that then.
    follow_links: send what is behind its links that lead out. yes: send it also if it is large.
    python: the Python that its command finds, as for --python; "auto", the default with a project,
    makes an environment for its requirements. extras: of the project, which are needed, too.
    wheels: a directory here from which alone they are installed. setup: a line for bash that runs
    before the command.

    Raises:
        NoCapacity: not enough devices are available. Unsatisfiable: there are never enough.
        InvalidInput: an argument makes no sense, there is no such command or directory, or the
        project cannot be sent. ProjectChanged: files of it are changed all the time.
        subprocess.CalledProcessError, subprocess.TimeoutExpired: as of `subprocess.run`.
    """
    if detach:
        from genvx.fleet.detaching import detached
        from genvx.fleet.shipping.reading import until_unchanged

        return until_unchanged(
            lambda: detached.start_on(LocalHost(), request(command, gpus, **more))
        )
    from genvx.fleet.detaching import attached

    def take(gpus: int | str, **request: Any) -> LocalHold:
        return hold_for(command, gpus, **request)

    return attached.run(take, command, gpus, here=True, **more)


def request(command: Command, gpus: int | str, *, cwd: str | None = None, **more: Any) -> Any:
    """Check what a new run is asked with; return it as a Request of genvx.fleet.detaching."""
    from genvx.fleet.detaching import detached

    place = cwd
    if more.get("project") is None:
        place = os.path.abspath(os.path.expanduser(cwd or "."))
    return detached.Request(command, gpus, cwd=place, here=True, **more)


def hold_for(
    command: Command,
    gpus: int | str,
    *,
    memory: int | None = None,
    name: str = "",
    wait: float | None = None,
    time: float | None = None,
    visible_as: str | None = None,
    stop: threading.Event | None = None,
) -> LocalHold:
    """Take devices for a command, as `genvx.activate` does; its time ends the command alone.

    stop: ends the waiting when it is set.
    """
    asked = Ask(
        requirements_of(gpus, memory, visible_as),
        name,
        command=" ".join(words_of(command)),
        lasts=time,
        patience=wait,
    )
    host = LocalHost()
    return host.acquire(asked) if wait is None else host.wait(asked, stop=stop)


def runs(
    state: str | Sequence[str] = (),
    tags: str | Sequence[str] = (),
    name: str | None = None,
    since: float | None = None,
    most: int = 1000,
    *,
    deleted: bool = False,
    pulled: bool = False,
) -> list[Run]:
    """List our runs on this machine that match all that is given, the newest first.

    state: one, or several of which one must match. tags: all must match. name: of the run, or its
    label. since: submitted in these last seconds. most: at most so many. deleted: those in the
    trash. pulled: also copies of runs of other machines (`RunInfo.pulled`), which can be read and
    deleted, and nothing else.

    Raises:
        InvalidInput: there is no such state. StateError: the runs cannot be read.
    """
    from genvx.fleet.detaching import detached

    asked = detached.listing(state, tags, name, since, most, deleted=deleted, pulled=pulled)
    return detached.listed_on(LocalHost(), asked)


def find_run(run: str | int = "") -> Run:
    """Find a run of ours on this machine by its id, the beginning of one, its name or label, or a
    number: 1 is the latest, 2 the one before; nothing is the latest, too.

    Raises:
        UnknownRun: there is none, or several match. NotOwner: it is another user's.
    """
    from genvx.fleet.detaching import detached

    return detached.found_on(LocalHost(), run)
