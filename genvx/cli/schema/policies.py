"""What the policy of a host allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genvx.cli.schema.document import Plain
    from genvx.core.policies.enforcement import Enforcement, ProcessRule
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
        "in_use": policy.in_use,
        "debug_ports": policy.debug_ports,
        "enforce": None if policy.enforcement is None else _rules(policy.enforcement),
    }


def _rules(rules: Enforcement) -> Plain:
    """What genvx enforce does, where it runs; a rule is null that the policy does not have."""
    memory, idle = rules.memory, rules.idle
    return {
        "squatters": _of_processes(rules.squatters),
        "intruders": _of_processes(rules.intruders),
        "memory": None
        if memory is None
        else {
            "do": memory.do.value,
            "grace_seconds": memory.grace,
            "margin_bytes": memory.margin,
        },
        "idle": None
        if idle is None
        else {"do": idle.do.value, "after_seconds": idle.after, "below_percent": idle.below},
        "exempt_users": list(rules.exempt.users),
        "exempt_groups": list(rules.exempt.groups),
        "exempt_commands": list(rules.exempt.commands),
        "hook": bool(rules.hook),
    }


def _of_processes(rule: ProcessRule | None) -> Plain | None:
    return None if rule is None else {"do": rule.do.value, "grace_seconds": rule.grace}


def _limit(limit: Limit) -> Plain:
    return {"gpus": limit.gpus, "memory_bytes": limit.memory, "seconds": limit.time}
