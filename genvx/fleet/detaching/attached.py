"""A command that is run on devices that are taken for it, and ends with its client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genvx.core.command import require_variables, words_of
from genvx.fleet.containers import container_of

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping, Sequence

    from genvx.core.command import Command
    from genvx.core.leases.starter import Starter
    from genvx.core.runs.container import Container
    from genvx.fleet.host import Hold


def run(
    take: Callable[..., Hold],
    command: Command,
    gpus: int | str = 0,
    *,
    check: bool = False,
    capture_output: bool = False,
    input: bytes | None = None,
    timeout: float | None = None,
    cwd: str | None = None,
    env: Mapping[str, str] | None = None,
    image: str | None = None,
    runtime: str | None = None,
    mounts: str | Sequence[str] = (),
    here: bool = False,
    **request: Any,
) -> subprocess.CompletedProcess[bytes]:
    """Take devices, run a command on them to its end, and release them.

    take: takes the devices of a request. image, runtime, mounts: as of `genvx.run`. here: whether
    it starts on this machine, so that mounts are counted from this directory. The rest is that of
    `genvx.Hold.run`.
    """
    words_of(command)
    require_variables(env or {})
    container = container_of(image, runtime, mounts, remote=not here)
    with take(gpus, **request) as hold:
        return place_of(hold, container).run(
            command,
            check=check,
            capture_output=capture_output,
            input=input,
            timeout=timeout,
            cwd=cwd,
            env=env,
        )


def place_of(hold: Hold, container: Container | None) -> Hold | Starter:
    """What starts commands under a hold: itself, or what starts them in containers."""
    if container is None:
        return hold
    host: Any = hold.host
    starter: Starter = host.boxed(hold, container)
    return starter
