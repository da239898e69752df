"""What `genvx doctor` checks of the state directory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Optional

from genvx.core.finding import ERROR, MOST_OF_A_KIND, OK, WARNING, Finding
from genvx.core.text import printable
from genvx.errors import GenvxError
from genvx.local import processes
from genvx.local.doctor.reach import of_reach

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from genvx.local.state.directory import StateDirectory
    from genvx.local.state.paths import Places


def of_state(state: StateDirectory, places: Places) -> Iterator[Finding]:
    """Check the state directory, and what others have put there."""
    kind = "provisioned" if state.root == places.provisioned else "not provisioned"
    if state.shared:
        yield Finding(
            "state",
            OK,
            f"{state.root}, {kind}",
            "root can run 'genvx admin provision' for a lock file that nobody can replace",
        )
    else:
        yield Finding("state", OK, f"{state.root}, {kind}")
    yield from of_reach(state, places)
    # One line for each culprit, with the worst first: 400,000 squatted names are one finding.
    for owner, names in sorted(state.squatters().items(), key=_most_first)[:MOST_OF_A_KIND]:
        what = f"{state.root}: {printable(min(names), 60)}"
        if owner is None:
            yield Finding(
                "state",
                WARNING,
                f"{what} has a file system mounted on it{_more(names)}",
                "leases in it are ignored, and it is not touched; root can unmount it",
            )
            continue
        yield Finding(
            "state",
            WARNING,
            f"{what} belongs to {processes.owner_of(owner)}, whom it does not name{_more(names)}",
            "harmless for leases; root can delete it, and talk to that user",
        )
    try:
        with state.own() as directory:
            # Only whether one's own directory can be made and opened: every acquire needs it.
            os.fstat(directory)
    except GenvxError as error:
        yield Finding("state", ERROR, str(error))
    if not state.has_usable_lock():
        yield Finding(
            "lock",
            WARNING,
            f"{state.lock_path} is not a file that everybody may write",
            "acquires are slower but correct; its owner or root should delete it",
        )


def _more(names: Sequence[str]) -> str:
    return f", and {len(names) - 1:,} more such names" if len(names) > 1 else ""


def _most_first(item: tuple[Optional[int], list[str]]) -> int:
    return -len(item[1])
