"""What `genvx doctor` checks of containers: that none goes on after its run.

Docker's containers are children of its daemon. If the supervisor and the client of a run are both
killed, nothing holds its lease any more, and the container still uses the GPUs.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from genvx.core.finding import WARNING, Finding
from genvx.local.running import runtimes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from typing import Callable


def of_containers(
    environ: Mapping[str, str], alive: Callable[[], Collection[str]]
) -> Iterator[Finding]:
    """Check the containers of one's own runs.

    alive: returns the ids of all environments; asked after the containers, which end before them.
    """
    seen = [
        (found.runtime.value, name, run)
        for found in runtimes.all_here(environ)
        for name, run in runtimes.containers(found, environ, os.getuid())
    ]
    known = alive() if seen else ()
    for runtime, name, run in seen:
        if run not in known:
            yield Finding(
                "containers",
                WARNING,
                f"container {name} goes on, but nothing holds the GPUs of its run {run}",
                f"{runtime} rm --force {name} ends it",
            )
