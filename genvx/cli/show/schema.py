"""Conversion of values to the JSON of the command line: stable names, with units in the names.

This is the documented schema; the wire (core.codec) is another, and private.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from genvx.core.claim import Owner
from genvx.core.device import Device
from genvx.core.grant import Finding, Grant
from genvx.core.lease import Environment, holders
from genvx.core.queue import Position
from genvx.core.requirements import Requirements
from genvx.core.runinfo import RunInfo
from genvx.core.runstate import end_of, name_of
from genvx.core.snapshot import Snapshot
from genvx.errors import GenvxError, kind_of
from genvx.fleet.fleet import Fleet, Outcomes

Plain = dict[str, Any]


def failed_host(name: str, error: GenvxError) -> Plain:
    """Convert the failure of a host."""
    return {
        "host": name,
        "ok": False,
        "error": {"kind": kind_of(error), "type": type(error).__name__, "message": str(error)},
    }


def host(name: str, snapshot: Snapshot) -> Plain:
    """Convert a host, without its devices and environments."""
    return {
        "host": name,
        "ok": True,
        "hostname": snapshot.hostname,
        "version": snapshot.version,
        "driver": {
            "version": snapshot.driver.version,
            "error": snapshot.driver.error,
            "simulated": snapshot.driver.simulated,
            "notes": list(snapshot.driver.notes),
        },
        "total": len(snapshot.devices),
        "available": len(snapshot.available),
    }


def answers(
    fleet: Fleet, outcomes: Outcomes[Snapshot], more: Callable[[Snapshot], Plain]
) -> list[Plain]:
    """Convert outcomes to an entry per host, in the order of the fleet.

    more: makes the fields of a verb from a snapshot, in addition to those of `host`.
    """
    return [
        failed_host(name, outcomes.failed[name])
        if name in outcomes.failed
        else host(name, outcomes.succeeded[name]) | more(outcomes.succeeded[name])
        for name in (member.name for member in fleet.hosts)
    ]


def user(owner: Owner) -> Plain:
    """Convert a user."""
    return {"name": owner.name, "uid": owner.uid}


def device(item: Device, snapshot: Snapshot) -> Plain:
    """Convert a device, with its environments and processes."""
    usage = snapshot.usage_of(item)
    held = holders(snapshot.leases, item.uuid)
    foreign = set(snapshot.foreign(item))
    return {
        "label": item.label,
        "index": item.index,
        "uuid": item.uuid,
        "name": item.name,
        "simulated": item.simulated,
        "state": snapshot.state(item).value,
        "oversubscribed": snapshot.oversubscribed(item),
        "reason": usage.reason or snapshot.unseen(item),
        "memory_bytes": item.memory,
        "memory_used_bytes": usage.memory_used,
        "unified_memory": item.unified,
        "utilization_percent": usage.utilization,
        "environments": [
            {
                "id": env.id,
                "name": env.name,
                "user": user(env.owner),
                "memory_bytes": held[(env.owner.uid, env.id)],
                "age_seconds": round(snapshot.age_seconds(env.since_ns), 3),
            }
            for env in snapshot.environments
            if (env.owner.uid, env.id) in held
        ],
        "processes": None
        if usage.processes is None
        else [
            {
                "pid": process.pid,
                "uid": process.uid,
                "user": process.user,
                "command": process.command,
                "memory_bytes": process.memory,
                "compute": process.compute,
                "utilization_percent": process.utilization,
                "foreign": process in foreign,
            }
            for process in usage.processes
        ],
    }


def environment(item: Environment, snapshot: Snapshot) -> Plain:
    """Convert an environment, with its holders."""
    return {
        "id": item.id,
        "name": item.name,
        "user": user(item.owner),
        "age_seconds": round(snapshot.age_seconds(item.since_ns), 3),
        "devices": list(item.devices),
        "memory_bytes": item.memory,
        "pids": list(item.living_pids),
        "holders": None
        if item.holders is None
        else [
            {
                "pid": each.pid,
                "command": each.command,
                "age_seconds": round(snapshot.age_seconds(each.since_ns), 3),
                "stopped": each.stopped,
                "certain": each.certain,
            }
            for each in item.holders
        ],
        "command": item.command,
        "seconds_left": None
        if item.expires_ns is None
        else round(max(0, item.expires_ns - snapshot.boottime_ns) / 1e9, 3),
    }


def requirements(item: Requirements) -> Plain:
    """Convert what a request requires."""
    return {
        "text": str(item),
        "gpus": item.gpus,
        "memory_bytes": item.memory,
        "models": list(item.models),
        "at_least_bytes": item.at_least,
        "at_most_bytes": item.at_most,
        "devices": list(item.devices),
    }


def position(item: Position, snapshot: Snapshot) -> Plain:
    """Convert a position in the line."""
    return {
        "id": item.ticket.environment_id,
        "name": item.ticket.name,
        "user": user(item.ticket.owner),
        "place": item.place,
        "offered": item.offered,
        "reason": item.reason,
        "request": requirements(item.ticket.requirements),
        "waiting_seconds": round(snapshot.age_seconds(item.ticket.since_ns), 3),
        "pid": item.ticket.pid,
        "command": item.ticket.command,
    }


def run(item: RunInfo) -> Plain:
    """Return a run as documented: what was asked, its state, its end if it has one."""
    end = end_of(item.state)
    state = item.state
    why = getattr(state, "why", None)
    return {
        "id": item.id,
        "name": item.spec.name,
        "label": item.label,
        "tags": list(item.tags),
        "state": name_of(state),
        "note": item.note,
        "reason": getattr(state, "reason", None) or getattr(why, "value", why) or None,
        "place": getattr(state, "place", None),
        "command": list(item.spec.argv),
        "request": requirements(item.spec.requirements),
        "devices": list(getattr(state, "devices", ())),
        "submitted_epoch_seconds": round(item.spec.submitted.epoch_ns / 1e9, 3),
        "submitter": item.spec.submitter,
        "restarts": item.spec.restarted or None,
        "exit_code": None if end is None else end.exit_code,
        "seconds": None if end is None else round(end.seconds, 3),
        "user_seconds": None if end is None else end.usage.user,
        "system_seconds": None if end is None else end.usage.system,
        "memory_bytes": None if end is None else end.usage.memory,
        "gpu_memory_bytes": None if end is None else end.usage.gpu_memory,
        "gpu_utilization_percent": None if end is None else end.usage.gpu_utilization,
        "log_bytes": item.log_bytes,
        "part": None
        if item.spec.part is None
        else {"rank": item.spec.part.rank, "nodes": list(item.spec.part.nodes)},
        "deleted": item.deleted,
    }


def grant(item: Grant) -> Plain:
    """Convert a grant."""
    return {
        "id": item.environment_id,
        "name": item.name,
        "devices": [device.uuid for device in item.devices],
        "memory_bytes": item.memory,
        "seconds_left": item.seconds,
    }


def finding(item: Finding) -> Plain:
    """Convert a finding of doctor."""
    return {
        "check": item.check,
        "severity": item.severity.value,
        "result": item.result,
        "advice": item.advice,
    }
