"""Starting a run again, on the hosts where it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genvx.core.runs.runstate import was_moved
from genvx.errors import InvalidInput
from genvx.fleet.ask import HostGroup
from genvx.fleet.detaching import runs
from genvx.fleet.detaching.moving import anew, rest_of, with_rest
from genvx.fleet.detaching.rungang import submit_again
from genvx.fleet.detaching.submission import submitter
from genvx.fleet.typed import typed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from genvx.core.runs.runinfo import RunInfo
    from genvx.fleet.detaching.runs import RunHost


def restarted(
    hosts: Sequence[RunHost], before: Sequence[RunInfo], say: Callable[[str], None]
) -> list[tuple[RunHost, RunInfo]]:
    """Start a run again; return the new one, each of its parts with its host.

    hosts, before: where the parts of the one that is over are, and how they are. say: takes notes
    for people.

    Raises:
        NoCapacity: there is no room. InvalidInput: a part is alive, was moved, or was not found.
    """
    first = before[0]
    for each in before:
        anew(each, "")  # checks that this part is over
        if was_moved(each.state):
            raise InvalidInput(
                f"run {first.id} was moved, and may be on another host: "
                f"{typed(hosts[0])} runs restart {first.id} looks for it"
            )
    # Of the first part, which has the notifiers.
    spec = anew(with_rest(first, rest_of(hosts[0], first)), submitter())
    if spec.part is None:
        new = runs.submit_to(hosts[0], spec, patience=spec.patience, tags=first.tags)
        return [(hosts[0], new)]
    nodes = len(spec.part.nodes)
    if len(before) < nodes:
        raise InvalidInput(f"run {first.id} has {nodes} parts, but {len(before)} were found")
    group: Any = HostGroup(hosts)
    parts = submit_again(group, first, spec, patience=spec.patience, say=say)
    return [(host, info) for host, info in parts]
