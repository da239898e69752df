"""What is asked from inside an activated shell: by its prompt, and by a user who leaves."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Optional

from genvx.core.text import is_identifier
from genvx.errors import InvalidInput, StateError, UnknownEnvironment

if TYPE_CHECKING:
    from genvx.core.leases.grant import Grant
    from genvx.local.host import LocalHost


def lease_of(path: str) -> str:
    """The id of the lease that a file is of; raise InvalidInput if it is of none."""
    name, suffix = os.path.splitext(os.path.basename(path))
    if not is_identifier(name) or suffix != ".lease":
        raise InvalidInput("not the file of a lease")
    return name


def refreshed(host: LocalHost, path: str) -> Optional[Grant]:
    """What the environment of a shell has now, None if it is over. path: of the shell's lease.

    Raises:
        StateError: the directory of the lease cannot be looked at.
    """
    identifier = lease_of(path)
    try:
        listed = os.stat(os.path.dirname(path)).st_mtime_ns
    except OSError as error:
        raise StateError(f"cannot look at {path}: {error.strerror}") from None
    lease = next((e for e in host.store.scan().leases if e.id == identifier), None)
    if lease is None or lease.owner.uid != host.state.uid:
        return None
    grant = host.grant_of(lease.environment_id)
    # As old as what we have seen: what has changed meanwhile is seen at the next prompt.
    os.utime(path, ns=(listed, listed))
    return grant


def deactivate(host: LocalHost) -> None:
    """End the activated shell that we are in: hang up on the holder of our environment, provided
    that it really is an ancestor of ours.

    Raises:
        InvalidInput: no environment is active here, or no parent of ours has activated it.
        UnknownEnvironment: it is not active any more.
    """
    wanted = host.environ.get("GENVX_ENVIRONMENT_ID", "")
    if not wanted:
        raise InvalidInput("no environment is active in this shell")
    for env in host.snapshot().environments:
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
