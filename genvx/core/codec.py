"""Values to plain data and back, for the wire. (Files: core/statefiles.py.)

Reads generously, writes strictly: unknown keys belong to a newer version and are passed over;
impossible values do not pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genvx.core.devicecodec import (
    Plain,
    device_from_plain,
    device_to_plain,
    driver_from_plain,
    driver_to_plain,
    usage_from_plain,
    usage_to_plain,
)
from genvx.core.fields import MOST_DEVICES, Fields, Malformed
from genvx.core.grant import Finding, Grant, Severity
from genvx.core.lease import Environment, Lease, Owner
from genvx.core.request import MODEL_LIMIT, MOST_MODELS, Requirements, Strategy
from genvx.core.snapshot import Snapshot
from genvx.core.text import COMMAND_LIMIT, MESSAGE_LIMIT, NAME_LIMIT, printable
from genvx.core.ticket import Ticket
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from genvx.core.policy import Entitlement, Limit


def owner_to_plain(owner: Owner) -> Plain:
    return {"uid": owner.uid, "name": owner.name}


def owner_from_plain(plain: Any) -> Owner:
    fields = Fields(plain, "owner")
    return Owner(uid=fields.integer("uid", 0, 1 << 32), name=fields.text("name", 64))


def lease_to_plain(lease: Lease) -> Plain:
    return {
        "id": lease.id,
        "owner": owner_to_plain(lease.owner),
        "environment": lease.environment,
        "name": lease.name,
        "devices": list(lease.devices),
        "memory": lease.memory,
        "boot_id": lease.boot_id,
        "since_ns": lease.since_ns,
        "expires_ns": lease.expires_ns,
        "pid": lease.pid,
        "starttime": lease.starttime,
        "host": lease.host,
        "command": lease.command,
        "note": lease.note,
    }


def lease_from_plain(plain: Any) -> Lease:
    fields = Fields(plain, "lease")
    return Lease(
        id=fields.identifier("id"),
        owner=owner_from_plain(fields.raw("owner")),
        environment=fields.identifier("environment"),
        name=fields.text("name", NAME_LIMIT),
        devices=fields.device_ids("devices"),
        memory=fields.optional_integer("memory", 1),
        boot_id=fields.text("boot_id", 64),
        since_ns=fields.integer("since_ns"),
        expires_ns=fields.optional_integer("expires_ns"),
        pid=fields.integer("pid"),
        starttime=fields.integer("starttime"),
        host=fields.text("host", 256),
        command=fields.text("command", COMMAND_LIMIT),
        note=fields.text("note", COMMAND_LIMIT),
    )


def ticket_to_plain(ticket: Ticket) -> Plain:
    return {
        "id": ticket.id,
        "owner": owner_to_plain(ticket.owner),
        "environment": ticket.environment,
        "name": ticket.name,
        "requirements": requirements_to_plain(ticket.requirements),
        "boot_id": ticket.boot_id,
        "since_ns": ticket.since_ns,
        "seen_ns": ticket.seen_ns,
        "pid": ticket.pid,
        "starttime": ticket.starttime,
        "host": ticket.host,
        "command": ticket.command,
        "most": ticket.most,
        "keeps": ticket.keeps,
        "most_memory": ticket.most_memory,
    }


def ticket_from_plain(plain: Any) -> Ticket:
    fields = Fields(plain, "ticket")
    return Ticket(
        id=fields.identifier("id"),
        owner=owner_from_plain(fields.raw("owner")),
        environment=fields.identifier("environment"),
        name=fields.text("name", NAME_LIMIT),
        requirements=requirements_from_plain(fields.raw("requirements")),
        boot_id=fields.text("boot_id", 64),
        since_ns=fields.integer("since_ns"),
        seen_ns=fields.integer("seen_ns"),
        pid=fields.integer("pid"),
        starttime=fields.integer("starttime"),
        host=fields.text("host", 256),
        command=fields.text("command", COMMAND_LIMIT),
        most=fields.optional_integer("most"),
        keeps=fields.flag("keeps"),
        most_memory=fields.optional_integer("most_memory"),
    )


def snapshot_to_plain(snapshot: Snapshot) -> Plain:
    return {
        "hostname": snapshot.hostname,
        "version": snapshot.version,
        "boot_id": snapshot.boot_id,
        "boottime_ns": snapshot.boottime_ns,
        "driver": driver_to_plain(snapshot.driver),
        "devices": [device_to_plain(device) for device in snapshot.devices],
        "usage": {uuid: usage_to_plain(usage) for uuid, usage in snapshot.usage.items()},
        "leases": [lease_to_plain(lease) for lease in snapshot.leases],
        "odd": list(snapshot.odd),
        "desktop_memory": snapshot.desktop_memory,
        "tickets": [ticket_to_plain(ticket) for ticket in snapshot.tickets],
    }


def snapshot_from_plain(plain: Any) -> Snapshot:
    fields = Fields(plain, "snapshot")
    usage = fields.raw("usage")
    if not isinstance(usage, dict) or len(usage) > MOST_DEVICES:
        raise Malformed("snapshot has an impossible usage")
    devices = fields.values("devices", device_from_plain, MOST_DEVICES)
    known = {device.uuid for device in devices}
    return Snapshot(
        hostname=fields.text("hostname", 256),
        version=fields.text("version", 64),
        boot_id=fields.text("boot_id", 64),
        boottime_ns=fields.integer("boottime_ns"),
        driver=driver_from_plain(fields.raw("driver")),
        devices=devices,
        usage={uuid: usage_from_plain(item) for uuid, item in usage.items() if uuid in known},
        leases=fields.values("leases", lease_from_plain),
        odd=fields.texts("odd", 512, 10_000),
        desktop_memory=fields.integer("desktop_memory"),
        tickets=fields.values("tickets", ticket_from_plain),
    )


def environment_to_plain(environment: Environment) -> Plain:
    return {
        "id": environment.id,
        "name": environment.name,
        "owner": owner_to_plain(environment.owner),
        "since_ns": environment.since_ns,
        "devices": list(environment.devices),
        "memory": environment.memory,
        "pids": list(environment.pids),
        "command": environment.command,
        "expires_ns": environment.expires_ns,
    }


def environment_from_plain(plain: Any) -> Environment:
    fields = Fields(plain, "environment")
    return Environment(
        id=fields.identifier("id"),
        name=fields.text("name", NAME_LIMIT),
        owner=owner_from_plain(fields.raw("owner")),
        since_ns=fields.integer("since_ns"),
        devices=fields.device_ids("devices"),
        memory=fields.optional_integer("memory", 1),
        pids=fields.integers("pids", 10_000),
        command=fields.text("command", COMMAND_LIMIT),
        expires_ns=fields.optional_integer("expires_ns"),
    )


def grant_to_plain(grant: Grant) -> Plain:
    return {
        "environment": grant.environment,
        "name": grant.name,
        "owner": owner_to_plain(grant.owner),
        "devices": [device_to_plain(device) for device in grant.devices],
        "memory": grant.memory,
        "seconds": grant.seconds,
        "notes": list(grant.notes),
        "lease": grant.lease,
    }


def grant_from_plain(plain: Any) -> Grant:
    fields = Fields(plain, "grant")
    return Grant(
        environment=fields.identifier("environment"),
        name=fields.text("name", NAME_LIMIT),
        owner=owner_from_plain(fields.raw("owner")),
        devices=fields.values("devices", device_from_plain, MOST_DEVICES),
        memory=fields.optional_integer("memory", 1),
        notes=fields.texts("notes", MESSAGE_LIMIT, 100),
        seconds=fields.optional_integer("seconds"),
        lease=fields.text("lease", 32),
    )


def finding_to_plain(finding: Finding) -> Plain:
    return {
        "check": finding.check,
        "severity": finding.severity.value,
        "result": finding.result,
        "advice": finding.advice,
    }


def finding_from_plain(plain: Any) -> Finding:
    fields = Fields(plain, "finding")
    try:
        severity = Severity(fields.string("severity", 32))
    except ValueError:
        raise Malformed("finding has an impossible severity") from None
    return Finding(
        check=fields.text("check", 64),
        severity=severity,
        result=fields.text("result", MESSAGE_LIMIT),
        advice=fields.text("advice", MESSAGE_LIMIT),
    )


def entitlement_to_plain(entitlement: Entitlement) -> Plain:
    policy = entitlement.policy
    return {
        "user": entitlement.user,
        "limit": _limit_to_plain(entitlement.limit),
        "everybody": _limit_to_plain(policy.everybody),
        "groups": {name: _limit_to_plain(limit) for name, limit in policy.groups.items()},
        "users": {name: _limit_to_plain(limit) for name, limit in policy.users.items()},
        "administrators": list(policy.administrators),
        "hidden": list(policy.hidden),
        "shared": None if policy.shared is None else list(policy.shared),
        "oversubscribed": list(policy.oversubscribed),
    }


def entitlement_from_plain(plain: Any) -> Entitlement:
    from genvx.core.policy import Entitlement, Policy

    fields = Fields(plain, "the policy")
    return Entitlement(
        user=fields.text("user", 128),
        limit=_limit_from_plain(fields.raw("limit")),
        policy=Policy(
            everybody=_limit_from_plain(fields.raw("everybody")),
            groups=_limits_from_plain(fields.raw("groups")),
            users=_limits_from_plain(fields.raw("users")),
            administrators=fields.texts("administrators", 128, 10_000),
            hidden=fields.texts("hidden", 128, 10_000),
            shared=fields.texts("shared", 128, 10_000) if fields.has("shared") else None,
            oversubscribed=fields.texts("oversubscribed", 128, 10_000),
        ),
    )


def _limit_to_plain(limit: Limit) -> Plain:
    seconds = None if limit.time is None else max(1, round(limit.time))
    return {"gpus": limit.gpus, "memory": limit.memory, "seconds": seconds}


def _limit_from_plain(plain: Any) -> Limit:
    from genvx.core.policy import Limit

    fields = Fields(plain, "the limit")
    return Limit(
        gpus=fields.optional_integer("gpus"),
        memory=fields.optional_integer("memory"),
        time=fields.optional_integer("seconds"),
    )


def _limits_from_plain(plain: Any) -> dict[str, Limit]:
    if not isinstance(plain, dict) or len(plain) > 10_000:
        raise Malformed("the policy has impossible limits")
    return {printable(str(name), 128): _limit_from_plain(item) for name, item in plain.items()}


def requirements_to_plain(requirements: Requirements) -> Plain:
    return {
        "gpus": requirements.gpus,
        "memory": requirements.memory,
        "among": None if requirements.among is None else list(requirements.among),
        "models": list(requirements.models),
        "at_least": requirements.at_least,
        "at_most": requirements.at_most,
        "devices": list(requirements.devices),
        "strategy": requirements.strategy.value,
        "over": requirements.over,
    }


def requirements_from_plain(plain: Any) -> Requirements:
    fields = Fields(plain, "requirements")
    try:
        return Requirements(
            gpus=fields.integer("gpus"),
            memory=fields.optional_integer("memory", 1),
            among=fields.integers("among", MOST_DEVICES) if fields.has("among") else None,
            models=_words(fields, "models", MODEL_LIMIT, MOST_MODELS),
            at_least=fields.optional_integer("at_least", 1),
            at_most=fields.optional_integer("at_most", 1),
            devices=_words(fields, "devices", 128, MOST_DEVICES),
            strategy=_strategy(fields),
            over=fields.has("over") and fields.flag("over"),
        )
    except InvalidInput as error:
        raise Malformed(str(error)) from None


def _words(fields: Fields, key: str, limit: int, most: int) -> tuple[str, ...]:
    return fields.strings(key, limit, most) if fields.has(key) else ()


def _strategy(fields: Fields) -> Strategy:
    if not fields.has("strategy"):
        return Strategy.FIT
    try:
        return Strategy(fields.string("strategy", 16))
    except ValueError:
        raise Malformed("requirements has an impossible strategy") from None
