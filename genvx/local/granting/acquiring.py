"""How a lease for a new environment is made."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Optional

from genvx.core.leases.grant import Grant
from genvx.core.text import is_identifier, printable, require_name
from genvx.core.value import replace
from genvx.errors import InvalidInput
from genvx.local.granting.taking import take
from genvx.local.running.hold import LocalHold

if TYPE_CHECKING:
    from genvx.core.requests.ask import Ask
    from genvx.local.machine import Machine


def acquire(host: Machine, ask: Ask, ticket: Optional[str] = None) -> LocalHold:
    """See `LocalHost.acquire`. ticket: the id of our own ticket in the line."""
    require_name(ask.name)
    if ask.environment_id is not None and not is_identifier(ask.environment_id):
        raise InvalidInput(f"not the id of an environment: {printable(ask.environment_id, 40)!r}")
    # Short, because people type it. An id is unique together with its owner's uid.
    identifier = ask.environment_id or os.urandom(4).hex()
    rules = host.rules()
    requirements, line = ask.requirements, ""
    if "SLURM_JOB_ID" in host.environ:
        from genvx.local.devices.allocated import shortened

        line = shortened(host.environ, ask.lasts)
    if rules is not None:
        requirements = rules.complete(requirements)
        ask = replace(ask, lasts=rules.time(requirements, ask.lasts))
    if "SLURM_JOB_ID" in host.environ:
        from genvx.local.devices.allocated import bounded

        ask = replace(ask, lasts=bounded(host.environ, ask.lasts))
    seconds = ask.seconds
    blank = host.blank(identifier, ask.name, ask.command, requirements.memory)
    taken = take(host, requirements, blank, rules=rules, ticket=ticket, seconds=seconds)
    grant = Grant(
        environment_id=identifier,
        name=ask.name,
        owner=blank.owner,
        devices=taken.devices,
        memory=requirements.memory,
        notes=(*taken.notes, line) if line else taken.notes,
        seconds=seconds,
        lease=taken.held.lease.id,
        visible_as=taken.held.lease.visible_as,
    )
    return LocalHold(host, grant, taken.held)
