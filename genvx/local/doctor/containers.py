"""What `genvx doctor` checks of containers: that none goes on after its run.

Docker's containers are children of its daemon. If the supervisor and the client of a run are both
killed, nothing holds its lease any more, and the container still uses the GPUs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.finding import WARNING, Finding

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from typing import Callable

    from genvx.core.runs.container import Runtime


def of_containers(
    found: Iterable[tuple[Runtime, str, str]], alive: Callable[[], Collection[str]]
) -> Iterator[Finding]:
    """Check the containers of one's own runs.

    found: the runtime and the name of each, and the id of its run. alive: returns the ids of all
    environments; asked after the containers, which end before them.
    """
    seen = list(found)
    known = alive() if seen else ()
    for runtime, name, run in seen:
        if run not in known:
            yield Finding(
                "containers",
                WARNING,
                f"container {name} goes on, but nothing holds the GPUs of its run {run}",
                f"{runtime.value} rm --force {name} ends it",
            )
