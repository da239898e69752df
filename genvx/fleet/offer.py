"""The devices of a host that its hostfile offers, and how commands see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.text import printable
from genvx.core.value import replace

if TYPE_CHECKING:
    from genvx.core.requests.ask import Ask
    from genvx.core.requests.requirements import Requirements
    from genvx.core.snapshot import Snapshot
    from genvx.fleet.hosts.hostspec import HostSpec


def offered(spec: HostSpec, snapshot: Snapshot) -> Snapshot:
    """Return the snapshot with the offered devices only."""
    gpus = spec.gpus
    if gpus is None:
        return snapshot
    return replace(snapshot, devices=tuple(d for d in snapshot.devices if d.index in gpus))


def within(spec: HostSpec, requirements: Requirements) -> Requirements:
    """Return the requirements, limited to the offered devices."""
    return replace(
        requirements,
        among=spec.gpus,
        visible_as=requirements.visible_as or spec.visible_as,
        in_use=requirements.in_use or spec.in_use,
    )


def offering(spec: HostSpec, ask: Ask) -> Ask:
    """Return the ask, limited to the offered devices."""
    requirements = within(spec, ask.requirements)
    return replace(ask, requirements=requirements, command=printable(ask.command))
