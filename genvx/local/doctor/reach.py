"""What `genvx doctor` checks of who sees the leases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.finding import ERROR, OK, WARNING, Finding
from genvx.local import facts
from genvx.local.state import mountinfo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from genvx.local.state.directory import StateDirectory
    from genvx.local.state.paths import Places


def of_reach(state: StateDirectory, places: Places) -> Iterator[Finding]:
    """Check that all users of these GPUs see the same leases."""
    if state.former is not None:
        yield Finding(
            "state",
            OK,
            f"{state.former.root}: leases from before the machine was provisioned count, too",
            "when none is left, root can run 'genvx admin provision' again",
        )
    if state.root != places.unprovisioned:
        return
    advice = (
        "root can run 'genvx admin provision' on the machine; or set GENVX_STATE_DIR to a "
        "directory that all share"
    )
    # Leases are files: users that see another directory under this name see no lease of ours.
    if mountinfo.is_private(state.root):
        yield Finding(
            "state",
            ERROR,
            f"{state.root} is not that of the whole machine here (PrivateTmp, or a job's own): the "
            "same GPUs can be taken inside and outside",
            advice,
        )
    # A directory from outside that is mounted into the container is shared; only one of its own is
    # not.
    elif facts.in_container() and not mountinfo.is_mounted(state.root):
        yield Finding(
            "state",
            WARNING,
            f"{state.root} is this container's own: GPUs that others see, too, can be taken twice",
            f"mount the machine's {state.root} or {places.provisioned} into the container",
        )
