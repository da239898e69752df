"""What a host is asked: with the devices that its hostfile offers, and the Python of its remote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.prelude import with_prelude
from genvx.core.text import printable
from genvx.core.value import replace

if TYPE_CHECKING:
    from genvx.core.requests.ask import Ask
    from genvx.core.requests.requirements import Requirements
    from genvx.core.runs.run import RunSpec
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


def asked_of(spec: HostSpec, run: RunSpec) -> RunSpec:
    """Return what this host is asked for a run: with what its remote says of Python."""
    python = run.python
    if python is not None and spec.prerelease and python.needs:
        python = replace(python, prerelease=True)
    return replace(run, argv=with_prelude(spec.prelude, run.argv) or run.argv, python=python)


def offering(spec: HostSpec, ask: Ask) -> Ask:
    """Return the ask, limited to the offered devices."""
    requirements = within(spec, ask.requirements)
    return replace(ask, requirements=requirements, command=printable(ask.command))
