"""A watch that shuts this machine down when no lease has lived on it for some time.

It is for machines that are rented, and is a process of its own: whoever started it may be far away
and asleep by then. A file that it keeps locked says after how long it acts; so there is one watch,
and another start only changes the time.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import time
from typing import TYPE_CHECKING

from genvx.errors import StateError
from genvx.local.machine import Machine
from genvx.local.processes import boottime_ns
from genvx.local.running.apart import apart

if TYPE_CHECKING:
    from collections.abc import Mapping

# A minute is left to those who are logged in, and to a lease that comes in the last moment.
_SHUTDOWN = ("shutdown", "-P", "+1", "genvx: no lease has lived here for long (idle-stop)")
_CANCEL = ("shutdown", "-c")
_LONGEST_LOOK = 30.0
_PATIENCE = 20.0


def keep(seconds: float, first: float, environ: Mapping[str, str]) -> str:
    """Watch this machine from now on; it is shut down when no lease has lived for so many seconds.

    first: seconds that are added the first time, in which the machine is set up. A shutdown that
    was on its way is called off. Returns why the machine cannot be shut down, or nothing.

    Raises:
        StateError: the watch cannot be started.
    """
    allowed, why = _as_root("true")
    if not allowed:
        return f"we may not shut this machine down ({why})"
    path = _path(environ)
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _write(descriptor, seconds)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass  # there is a watch, which reads the file
            else:
                # Also loads all that is needed: what delivered us may be gone by then.
                _busy(environ)
                apart(lambda: _watch(descriptor, first, environ), keep=(descriptor,))
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StateError(f"cannot watch for idleness by {path}: {error.strerror}") from None
    _as_root(*_CANCEL)
    return ""


def _path(environ: Mapping[str, str]) -> str:
    home = environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return f"{home}/genvx/idle-stop"


def _write(descriptor: int, seconds: float) -> None:
    # Of one length always: whoever reads meanwhile sees the old number or the new one.
    os.pwrite(descriptor, f"{seconds:020.3f}\n".encode(), 0)


def _watch(descriptor: int, first: float, environ: Mapping[str, str]) -> None:
    """Look again and again, until the machine shuts down."""
    since = boottime_ns() + round(first * 1e9)
    ending = False
    while True:
        seconds = float(os.pread(descriptor, 21, 0))
        time.sleep(max(0.1, min(_LONGEST_LOOK, seconds / 10)))
        if _busy(environ):
            since = max(since, boottime_ns())
            if ending:
                _as_root(*_CANCEL)
            ending = False
        elif not ending and boottime_ns() - since >= seconds * 1e9:
            ending, _ = _as_root(*_SHUTDOWN)


def _busy(environ: Mapping[str, str]) -> bool:
    """Whether a lease lives here, or somebody waits for one."""
    machine = Machine(environ=environ)
    try:
        found = machine.store.scan()
    except StateError:
        return True  # nobody knows; a machine that is used must not be shut down
    finally:
        machine.close()
    return bool(found.leases or found.tickets)


def _as_root(*words: str) -> tuple[bool, str]:
    """Run a command as root; return whether it worked, and what it complained about."""
    way = words if os.geteuid() == 0 else ("sudo", "-n", *words)
    try:
        done = subprocess.run(
            way,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            # Not everybody has what is root's on the PATH.
            env={**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"},
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return False, f"{way[0]}: {error}"[:200]
    return done.returncode == 0, done.stderr.decode("utf-8", "replace").partition("\n")[0][:200]
