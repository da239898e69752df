"""`genvx.aio.run`, `runs` and `find_run`: commands on the devices of this machine."""

from __future__ import annotations

import subprocess
import threading
from typing import TYPE_CHECKING, Any, Literal, overload

from genvx.aio.commands import to_end
from genvx.aio.handle import Run, forget
from genvx.aio.threads import abandonable, in_daemon_thread
from genvx.api import runs as api
from genvx.core.command import require_variables, words_of
from genvx.fleet.containers import container_of
from genvx.fleet.detaching.attached import place_of

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from genvx.core.command import Command
    from genvx.core.runs.debugport import DebugPort
    from genvx.core.runs.service import Service


@overload
async def run(
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
async def run(
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
) -> subprocess.CompletedProcess[bytes]: ...


async def run(
    command: Command, gpus: int | str = 0, *, detach: bool = False, **more: Any
) -> Run | subprocess.CompletedProcess[bytes]:
    """Run a command on devices of this machine, as `genvx.run` does, with its errors.

    If the call is cancelled, the command is killed, and no run is left.
    """
    if not detach:
        return await _to_end(command, gpus, **more)
    stop = threading.Event()
    started = await abandonable(lambda: api.run(command, gpus, detach=True, **more), stop, forget)
    return Run(started)


async def _to_end(
    command: Command,
    gpus: int | str,
    *,
    cwd: str | None = None,
    env: Mapping[str, str] | None = None,
    image: str | None = None,
    runtime: str | None = None,
    mounts: str | Sequence[str] = (),
    check: bool = False,
    capture_output: bool = False,
    input: bytes | None = None,
    **request: Any,
) -> subprocess.CompletedProcess[bytes]:
    words_of(command)
    require_variables(env or {})
    inside = container_of(image, runtime, mounts, remote=False)
    stop = threading.Event()
    hold = await abandonable(
        lambda: api.hold_for(command, gpus, stop=stop, **request),
        stop,
        lambda late: late.release(),
    )
    pipe = subprocess.PIPE if capture_output else None
    try:
        running = place_of(hold, inside).start(
            command,
            stdin=None if input is None else subprocess.PIPE,
            stdout=pipe,
            stderr=pipe,
            cwd=cwd,
            env=env,
        )
        return await to_end(running, command, input, check=check)
    finally:
        hold.release()


async def runs(
    state: str | Sequence[str] = (),
    tags: str | Sequence[str] = (),
    name: str | None = None,
    since: float | None = None,
    most: int = 1000,
    *,
    deleted: bool = False,
    pulled: bool = False,
) -> list[Run]:
    """List our runs on this machine, as `genvx.runs` does."""
    found = await in_daemon_thread(
        lambda: api.runs(state, tags, name, since, most, deleted=deleted, pulled=pulled)
    )
    return [Run(each) for each in found]


async def find_run(run: str | int = "") -> Run:
    """Find a run of ours on this machine, as `genvx.find_run` does."""
    return Run(await in_daemon_thread(lambda: api.find_run(run)))
