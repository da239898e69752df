"""Starts a keeper that has nothing of the command that starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from genvx.keeping import places

if TYPE_CHECKING:
    from collections.abc import Mapping

# A shell puts it into the background and ends at once, so that it is no child of ours: one that
# ends later would stay a zombie of a command that runs for hours.
_DETACH = '"$@" &'


def start(environ: Mapping[str, str]) -> None:
    """Start a keeper for commands like this one; nothing is said if that is impossible."""
    directory = places.directory(environ, make=True)
    if directory is None or not sys.executable:
        return
    # -P: a module of the directory in which somebody typed a command is not ours.
    words = [sys.executable, "-P", "-m", "genvx.keeping", directory]
    # glibc gives each thread an arena of its own, which for a thread a host is most of the memory;
    # and once a large block was freed, it keeps as much for the next one.
    variables = {
        **places.environment(environ),
        "MALLOC_ARENA_MAX": "1",
        "MALLOC_TRIM_THRESHOLD_": "65536",
    }
    try:
        log = os.open(
            f"{directory}/keep.log",
            os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC,
            0o600,
        )
    except OSError:
        return
    try:
        subprocess.run(
            ["/bin/sh", "-c", _DETACH, "genvx", *words],
            cwd="/",
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
            check=False,
        )
    except OSError:
        pass  # no more processes, or no sh: commands go their own way
    finally:
        os.close(log)
