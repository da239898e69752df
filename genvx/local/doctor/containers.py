"""What `genvx doctor` checks of containers: whether this machine can start them, and that none goes
on after its run.

Docker's containers are children of its daemon. If the supervisor and the client of a run are both
killed, nothing holds its lease any more, and the container still uses the GPUs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from genvx.core.finding import OK, WARNING, Finding
from genvx.core.runs.container import Runtime
from genvx.local.running import runtimes, subids

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from typing import Callable

    from genvx.local.running.runtimes import Listed


def ask(environ: Mapping[str, str], uid: int) -> tuple[Listed, ...]:
    """Ask all runtimes of this machine."""
    return tuple(runtimes.listed(found, environ, uid) for found in runtimes.all_here(environ))


def of_runtimes(
    seen: Sequence[Listed],
    environ: Mapping[str, str],
    uid: int,
    user: Optional[str] = None,
    etc: str = "/etc",
) -> Iterator[Finding]:
    """Say what starts containers here, and what keeps it from that.

    user: the name of the user with this uid, if it is not that of the system. etc: where the ids
    for rootless containers are.
    """
    if not seen:
        yield Finding("containers", OK, "no podman, docker or apptainer, so none for --image")
        return
    names = [each.runtime.value for each in seen if not each.failure]
    if names:
        yield Finding("containers", OK, f"{' and '.join(names)} for --image")
    for each in seen:
        if each.failure:
            yield Finding(
                "containers",
                # Where there is another one, it is nobody's fault that docker is for few users.
                OK if names else WARNING,
                f"{each.runtime.value} is installed, but does not answer: {each.failure}",
            )
    if any(each.runtime is Runtime.PODMAN for each in seen):
        missing = subids.lack(environ, uid, user, etc)
        if missing is not None:
            what = f"rootless podman lacks {missing.what}: no container starts"
            yield Finding("containers", WARNING, what, missing.advice)


def of_containers(
    seen: Sequence[Listed], alive: Callable[[], Collection[str]]
) -> Iterator[Finding]:
    """Check the containers of one's own runs.

    alive: returns the ids of all environments; asked after the containers, which end before them.
    """
    found = [(each.runtime.value, name, run) for each in seen for name, run in each.containers]
    known = alive() if found else ()
    for runtime, name, run in found:
        if run not in known:
            yield Finding(
                "containers",
                WARNING,
                f"container {name} goes on, but nothing holds the GPUs of its run {run}",
                f"{runtime} rm --force {name} ends it",
            )
