"""What `genvx doctor` checks of the leases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.finding import MOST_OF_A_KIND, WARNING, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from genvx.core.leases.environment import Environment
    from genvx.core.snapshot import Snapshot


def of_leases(snapshot: Snapshot, odd_files: Sequence[str]) -> Iterator[Finding]:
    """Check the leases. odd_files: files that are ignored, and why."""
    known = {device.uuid for device in snapshot.devices}
    for environment in snapshot.environments:
        # Only if the driver answers: without an answer every device would look lost.
        missing = [uuid for uuid in environment.devices if uuid not in known]
        if missing and snapshot.driver.error is None:
            yield Finding(
                "leases",
                WARNING,
                f"{environment.label} of {environment.owner} holds {len(missing)} devices "
                "that are not here",
                "a GPU was lost, or the simulation changed",
            )
        yield from _outlived(environment, snapshot)
    for odd in odd_files[:MOST_OF_A_KIND]:
        yield Finding("leases", WARNING, f"ignored {odd}", "its owner can delete it")
    if len(odd_files) > MOST_OF_A_KIND:
        rest = len(odd_files) - MOST_OF_A_KIND
        yield Finding("leases", WARNING, f"ignored {rest} more", "'genvx status --json' has them")


def _outlived(environment: Environment, snapshot: Snapshot) -> Iterator[Finding]:
    """The processes that hold devices after the shell or command that took them: jobs, daemons."""
    if not (environment.outlived and environment.devices and environment.holders):
        return
    count = len(environment.devices)
    first = environment.holders[0].described(snapshot.boottime_ns)
    more = len(environment.holders) - 1
    yield Finding(
        "leases",
        WARNING,
        f"the process that took {environment.label} of {environment.owner} has ended, "
        f"and {count} device{'' if count == 1 else 's'} stay held by {first}"
        + (f" and {more} more" if more else ""),
        f"genvx release {environment.id} gives them back; with --kill it ends the processes, too",
    )
