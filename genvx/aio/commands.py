"""A command that was started, awaited to its end."""

from __future__ import annotations

import asyncio
import subprocess
from typing import TYPE_CHECKING

from genvx.aio.threads import in_daemon_thread

if TYPE_CHECKING:
    from genvx.core.command import Command, Running


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
