"""Copying a directory of this machine to hosts, for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genvx.core.wire.treeoperations import PutFiles
from genvx.errors import GenvxError, InvalidInput
from genvx.fleet.outcomes import Outcomes
from genvx.fleet.shipping.reading import read, until_unchanged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genvx.core.projects.plan import Landed, Plan


def push_to(
    hosts: Sequence[Any],
    directory: str,
    dest: str,
    *,
    everything: bool,
    follow_links: bool,
    delete: bool,
) -> Outcomes[Landed]:
    """Copy a directory to hosts; see Fleet.push."""
    if not dest or not directory:
        raise InvalidInput("a directory is empty; . is the current one")
    for host in hosts:
        if not hasattr(host, "put"):
            raise InvalidInput(f"files are copied to hosts over SSH, and {host.name} is none")

    def copy(host: Any) -> Landed:
        shipment = read(directory, follow_links=follow_links, everything=everything)

        def decide(plan: Plan) -> Sequence[bytes]:
            return shipment.unwanted(plan.extra) if delete else ()

        landed: Landed = host.put(PutFiles(dest, delete), shipment, decide)
        return landed

    succeeded: dict[str, Landed] = {}
    failed: dict[str, GenvxError] = {}
    for host in hosts:  # hosts with one home get it from the first of them
        try:
            succeeded[host.name] = until_unchanged(lambda host=host: copy(host))  # type: ignore[misc]
        except InvalidInput:
            raise
        except GenvxError as error:
            failed[host.name] = error
    return Outcomes(succeeded, failed)
