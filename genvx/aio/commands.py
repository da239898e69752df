"""Commands under a hold, awaited to their end."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from typing import TYPE_CHECKING

from genvx.aio.threads import abandonable, in_daemon_thread

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.command import Command
    from genvx.core.leases.starter import Starter
    from genvx.core.running import Running
    from genvx.fleet.host import Hold


async def run_on(
    place: Hold | Starter,
    command: Command,
    *,
    check: bool,
    capture_output: bool,
    input: bytes | None,
    cwd: str | None,
    env: Mapping[str, str] | None,
) -> subprocess.CompletedProcess[bytes]:
    """Run a command on another machine until it ends; kill it if we are cancelled.

    Raises: as `to_end`, and what its start raises.
    """
    pipe = subprocess.PIPE if capture_output else None
    stdin = None if input is None else subprocess.PIPE
    running = await abandonable(
        lambda: place.start(command, stdin=stdin, stdout=pipe, stderr=pipe, cwd=cwd, env=env),
        threading.Event(),
        lambda late: late.kill(),
    )
    return await to_end(running, command, input, check=check)


async def to_end(
    running: Running, command: Command, input: bytes | None, *, check: bool
) -> subprocess.CompletedProcess[bytes]:
    """Wait for the end of a command; kill it if we are cancelled.

    Raises:
        subprocess.CalledProcessError: `check` is true and the command failed.
    """
    try:
        output = await in_daemon_thread(lambda: running.communicate(input))
    except asyncio.CancelledError:
        running.kill()
        raise
    finally:
        running.close()
    code = running.wait()
    if check and code:
        raise subprocess.CalledProcessError(code, command, *output)
    return subprocess.CompletedProcess(command, code, *output)
