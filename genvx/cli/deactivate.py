"""genvx deactivate: end the activated shell that we are in.

bash, zsh, dash and fish have it as a function of the activated shell. This verb is for the others:
it hangs up on the holder of our environment, provided that it really is an ancestor of ours.
"""

from __future__ import annotations

import os
import signal

from genvx.errors import InvalidInput, UnknownEnvironment


def deactivate() -> None:
    """Leave the activated shell and give its GPUs back."""
    from genvx.local.host import LocalHost

    wanted = os.environ.get("GENVX_ENVIRONMENT_ID", "")
    if not wanted:
        raise InvalidInput("no environment is active in this shell")
    for env in LocalHost().snapshot().environments:
        if env.id == wanted and env.owner.uid == os.geteuid():
            for pid in _ancestors():
                if pid in env.pids:
                    os.kill(pid, signal.SIGHUP)
                    return
            raise InvalidInput(
                f"environment {env.label} was not activated by a parent of this process; "
                f"end its shell, or: genvx release {env.id}"
            )
    raise UnknownEnvironment("the environment of this shell is not active any more; type exit")


def _ancestors() -> list[int]:
    found = []
    pid = os.getppid()
    while pid > 1:
        found.append(pid)
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                pid = int(file.read().rpartition(b")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            break
    return found
