"""The way from a supervisor to the herald of its run."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from genvx.core.wire.plain import dumps
from genvx.core.wire.runcodec import STATE
from genvx.local.machine import Machine
from genvx.local.running.apart import apart
from genvx.local.runs.notify import kept

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.runs.run import RunSpec
    from genvx.core.runs.runstate import RunState
    from genvx.local.runs.record import RunDirectory


class Post:
    """Without effect for a run that has no notifiers."""

    def __init__(self, pipe: int = -1) -> None:
        self._pipe = pipe

    def ended(self, state: RunState) -> None:
        """Say how all of the run has ended. It never blocks, and never fails."""
        pipe, self._pipe = self._pipe, -1
        if pipe >= 0:
            with suppress(OSError):  # the herald was killed; or it is stopped, and the pipe full
                os.write(pipe, dumps(STATE.write(state)) + b"\n")
            os.close(pipe)


def start(environ: Mapping[str, str], spec: RunSpec, directory: RunDirectory) -> Post:
    """Start the herald of a run that has notifiers; the run goes on without if that is impossible.

    To be called before this process becomes a subreaper: the herald must not come below it.
    """
    notifiers = kept.read(directory) if spec.notifiers else ()
    if not notifiers:
        return Post()

    def follow() -> None:
        from genvx.local.runs.notify.herald import Herald

        # A machine of its own: the descriptors of ours are closed there.
        Herald(Machine(environ=environ), spec, directory, notifiers, read).follow()

    try:
        read, write = os.pipe()
    except OSError:
        return Post()
    try:
        os.set_blocking(write, False)
        apart(follow, (read, directory.descriptor))
    except OSError as error:
        directory.note({"event": "notify", "result": f"cannot be started: {error.strerror}"})
    finally:
        os.close(read)
    return Post(write)
