"""Devices and their use to plain data and back: on the wire, and from the child that asks NVML.

Reads as generously as core/codec.py.
"""

from __future__ import annotations

from typing import Any

from genvx.core.device import Device, DeviceProcess, DeviceUsage, Driver, Health
from genvx.core.fields import MOST_DEVICES, Fields
from genvx.core.text import COMMAND_LIMIT

Plain = dict[str, Any]


def device_to_plain(device: Device) -> Plain:
    return {
        "uuid": device.uuid,
        "index": device.index,
        "name": device.name,
        "memory": device.memory,
        "instance": device.instance,
        "parent": device.parent,
        "simulated": device.simulated,
        "topology": device.topology,
        "shareable": device.shareable,
        "oversubscribable": device.oversubscribable,
    }


def device_from_plain(plain: Any) -> Device:
    fields = Fields(plain, "device")
    return Device(
        uuid=fields.device_id("uuid"),
        index=fields.integer("index", 0, 1 << 20),
        name=fields.text("name", 128),
        memory=fields.optional_integer("memory", 1),
        instance=fields.optional_integer("instance", 0, 1 << 10),
        parent=fields.device_id("parent") if fields.has("parent") else None,
        simulated=fields.flag("simulated"),
        topology=fields.exact_text("topology", MOST_DEVICES) if fields.has("topology") else "",
        shareable=fields.flag("shareable") if fields.has("shareable") else True,
        oversubscribable=fields.has("oversubscribable") and fields.flag("oversubscribable"),
    )


def _process_to_plain(process: DeviceProcess) -> Plain:
    return {
        "pid": process.pid,
        "uid": process.uid,
        "user": process.user,
        "command": process.command,
        "memory": process.memory,
        "compute": process.compute,
        "utilization": process.utilization,
    }


def _process_from_plain(plain: Any) -> DeviceProcess:
    fields = Fields(plain, "process")
    return DeviceProcess(
        pid=fields.integer("pid"),
        uid=fields.optional_integer("uid"),
        user=fields.text("user", 64),
        command=fields.text("command", COMMAND_LIMIT),
        memory=fields.optional_integer("memory"),
        compute=fields.flag("compute"),
        utilization=fields.optional_integer("utilization", 0, 1000),
    )


def usage_to_plain(usage: DeviceUsage) -> Plain:
    return {
        "health": usage.health.value,
        "reason": usage.reason,
        "memory_used": usage.memory_used,
        "utilization": usage.utilization,
        "processes": None
        if usage.processes is None
        else [_process_to_plain(process) for process in usage.processes],
    }


def usage_from_plain(plain: Any) -> DeviceUsage:
    fields = Fields(plain, "usage")
    return DeviceUsage(
        health=_health(fields.string("health", 32)),
        reason=fields.text("reason", 256),
        memory_used=fields.optional_integer("memory_used"),
        utilization=fields.optional_integer("utilization", 0, 1000),
        processes=fields.values("processes", _process_from_plain)
        if fields.has("processes")
        else None,
    )


def _health(text: str) -> Health:
    try:
        return Health(text)
    except ValueError:
        return Health.UNKNOWN  # a newer version's word; unknown is never handed out


def driver_to_plain(driver: Driver) -> Plain:
    return {
        "version": driver.version,
        "error": driver.error,
        "simulated": driver.simulated,
        "notes": list(driver.notes),
    }


def driver_from_plain(plain: Any) -> Driver:
    fields = Fields(plain, "driver")
    return Driver(
        version=fields.optional_text("version", 64),
        error=fields.optional_text("error", 512),
        simulated=fields.flag("simulated"),
        notes=fields.texts("notes", 512, 256),
    )
