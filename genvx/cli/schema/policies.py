"""What the policy of a host allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genvx.cli.schema.document import Plain
    from genvx.core.policies.limit import Limit
    from genvx.core.policies.policy import Entitlement


def plain_entitlement(entitlement: Entitlement) -> Plain:
    """Convert what the caller may do, and the policy that says so."""
    policy = entitlement.policy
    return {
        "user": entitlement.user,
        "limit": _limit(entitlement.limit),
        "everybody": _limit(policy.everybody),
        "groups": {name: _limit(limit) for name, limit in policy.groups.items()},
        "users": {name: _limit(limit) for name, limit in policy.users.items()},
        "administrators": list(policy.administrators),
        "hidden": list(policy.hidden),
        "shared": None if policy.shared is None else list(policy.shared),
        "oversubscribed": list(policy.oversubscribed),
        "visible_as": None if policy.visible_as is None else policy.visible_as.value,
        "debug_ports": policy.debug_ports,
    }


def _limit(limit: Limit) -> Plain:
    return {"gpus": limit.gpus, "memory_bytes": limit.memory, "seconds": limit.time}
