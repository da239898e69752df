"""How an environment gets more or fewer devices."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from genvx.core.leases.lease import Part
from genvx.core.text import printable
from genvx.core.value import replace
from genvx.errors import InvalidInput, StateError, UnknownDevice
from genvx.local.granting.grants import granted
from genvx.local.granting.preconditions import refuse_over, require_boot
from genvx.local.granting.taking import take
from genvx.local.state.removal import remove

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genvx.core.leases.grant import Grant
    from genvx.core.leases.lease import Lease
    from genvx.core.requests.requirements import Requirements
    from genvx.local.machine import Machine


def attach(host: Machine, environment: str, requirements: Requirements) -> Grant:
    """See `LocalHost.attach`."""
    found = host.mine(environment)
    refuse_over(found)
    if not requirements.gpus:
        raise InvalidInput("say what to attach: --gpus N or --device ID")
    requirements = replace(requirements, visible_as=found.visible_as)
    rules = host.rules()
    if rules is not None:
        requirements = rules.complete(requirements)
    blank = replace(
        host.blank(found.id, found.name, found.command, requirements.memory),
        part=Part.ATTACHED,
        pid=0,
        starttime=0,
    )
    require_boot(blank)
    taken = take(host, requirements, blank, rules=rules)
    try:
        grant = replace(granted(host, environment), notes=taken.notes)
    except BaseException:
        taken.held.withdraw()
        raise
    taken.held.abandon()
    return grant


def detach(host: Machine, environment: str, devices: Sequence[str] = ()) -> Grant:
    """See `LocalHost.detach`."""
    grant = granted(host, environment)
    wanted = set(devices)
    chosen = [d for d in grant.devices if not wanted or {d.uuid, d.label} & wanted]
    missing = wanted.difference(*({d.uuid, d.label} for d in chosen))
    if missing:
        raise UnknownDevice(
            f"not in this environment: {', '.join(printable(each, 60) for each in sorted(missing))}"
        )
    if not chosen:
        return grant
    lease = replace(
        host.blank(grant.environment_id, grant.name, "", None),
        part=Part.DETACHED,
        pid=0,
        starttime=0,
        devices=tuple(device.uuid for device in chosen),
    )
    require_boot(lease)
    # A detachment gives devices back and takes none, so there is nothing to verify.
    host.store.publish(lease).abandon()
    _forget(host, lease)
    left = tuple(device for device in grant.devices if device not in chosen)
    return replace(grant, devices=left)


def _forget(host: Machine, lease: Lease) -> None:
    """Delete amendments that a later detachment has made obsolete; they do no harm if they stay.

    A later attachment does not make a detachment obsolete: without the detachment, older leases
    would hold the device again, and perhaps more of it.
    """
    with contextlib.suppress(StateError):
        remove(
            host.state,
            [
                each
                for each in host.store.scan().amendments
                if each.key == lease.key
                and each.since_ns < lease.since_ns
                and set(each.devices) <= set(lease.devices)
            ],
        )
