"""A command that is run on devices that are taken for it, and ends with its client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genvx.core.command import require_variables, words_of

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping

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
    container: Container | None = None,
    **request: Any,
) -> subprocess.CompletedProcess[bytes]:
    """Take devices, run a command on them to its end, and release them.

    take: takes the devices of a request. container: in which the command starts. The rest is that
    of `genvx.Hold.run`.
    """
    words_of(command)
    require_variables(env or {})
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
