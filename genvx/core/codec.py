"""Values to plain data and back, for lease files and the wire.

Reads generously, writes strictly: unknown keys belong to a newer version and are passed over;
impossible values do not pass. What is read may come from a hostile user or host, so every length
has a limit, ids have a shape, and text that is only for people is made printable here, once, for
whoever prints it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar

from genvx.core.device import Device, DeviceProcess, DeviceUsage, Driver, Health
from genvx.core.grant import Finding, Grant, Severity
from genvx.core.lease import Environment, Lease, Owner
from genvx.core.request import Requirements
from genvx.core.snapshot import Snapshot
from genvx.core.text import (
    COMMAND_LIMIT,
    MESSAGE_LIMIT,
    NAME_LIMIT,
    is_device_id,
    is_identifier,
    is_printable,
    printable,
)
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")
Plain = dict[str, Any]

_MOST_NUMBER = 1 << 63
_MOST_ITEMS = 100_000
_MOST_DEVICES = 4096


class Malformed(ValueError):
    """Plain data that is not the value it claims to be; the message names the key."""


def loads(data: bytes) -> Any:
    """Parse JSON of unknown origin; raise Malformed for whatever is wrong with it."""
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not JSON: {printable(str(error), 80)}") from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def dumps(plain: Any) -> bytes:
    """Write JSON in ASCII on one line, so that no terminal or line discipline on the way changes
    it.
    """
    return json.dumps(plain, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode(
        "ascii"
    )


class Fields:
    """Takes typed values out of plain data, and names the key that is wrong."""

    def __init__(self, plain: Any, what: str) -> None:
        if not isinstance(plain, dict):
            raise Malformed(f"{what} is not an object")
        self._plain: Mapping[str, Any] = plain
        self._what = what

    def raw(self, key: str) -> Any:
        try:
            return self._plain[key]
        except KeyError:
            raise Malformed(f"{self._what} has no {key}") from None

    def _wrong(self, key: str) -> Malformed:
        return Malformed(f"{self._what} has an impossible {key}")

    def has(self, key: str) -> bool:
        """Whether the key is there and not null."""
        return self._plain.get(key) is not None

    def integer(self, key: str, low: int = 0, high: int = _MOST_NUMBER) -> int:
        value = self.raw(key)
        if type(value) is not int or not low <= value <= high:
            raise self._wrong(key)
        return value

    def optional_integer(self, key: str, low: int = 0, high: int = _MOST_NUMBER) -> Optional[int]:
        return self.integer(key, low, high) if self.has(key) else None

    def flag(self, key: str) -> bool:
        value = self.raw(key)
        if type(value) is not bool:
            raise self._wrong(key)
        return value

    def string(self, key: str, limit: int) -> str:
        """Any text up to `limit`, as it is: for what goes to a program, never to a terminal."""
        value = self.raw(key)
        if not isinstance(value, str) or len(value) > limit:
            raise self._wrong(key)
        return value

    def text(self, key: str, limit: int) -> str:
        """Text for people, made printable."""
        return printable(self.string(key, _MOST_NUMBER), limit)

    def optional_text(self, key: str, limit: int) -> Optional[str]:
        return self.text(key, limit) if self.has(key) else None

    def exact_text(self, key: str, limit: int) -> str:
        """Text that must be printable as it is."""
        value = self.string(key, limit)
        if not is_printable(value, limit):
            raise self._wrong(key)
        return value

    def identifier(self, key: str) -> str:
        value = self.string(key, 64)
        if not is_identifier(value):
            raise self._wrong(key)
        return value

    def device_id(self, key: str) -> str:
        value = self.string(key, 128)
        if not is_device_id(value):
            raise self._wrong(key)
        return value

    def items(self, key: str, limit: int = _MOST_ITEMS) -> list[Any]:
        value = self.raw(key)
        if not isinstance(value, list) or len(value) > limit:
            raise self._wrong(key)
        return value

    def values(
        self, key: str, decode: Callable[[Any], T], limit: int = _MOST_ITEMS
    ) -> tuple[T, ...]:
        return tuple(decode(item) for item in self.items(key, limit))

    def texts(self, key: str, limit: int, most: int) -> tuple[str, ...]:
        found = []
        for item in self.items(key, most):
            if not isinstance(item, str):
                raise self._wrong(key)
            found.append(printable(item, limit))
        return tuple(found)

    def strings(self, key: str, limit: int, most: int) -> tuple[str, ...]:
        """Texts as they are: for what goes to a program, never to a terminal."""
        items = self.items(key, most)
        if not all(isinstance(item, str) and len(item) <= limit for item in items):
            raise self._wrong(key)
        return tuple(items)

    def integers(self, key: str, most: int) -> tuple[int, ...]:
        items = self.items(key, most)
        if not all(type(item) is int and 0 <= item <= _MOST_NUMBER for item in items):
            raise self._wrong(key)
        return tuple(items)

    def device_ids(self, key: str) -> tuple[str, ...]:
        found = self.items(key, _MOST_DEVICES)
        if not all(isinstance(item, str) and is_device_id(item) for item in found):
            raise self._wrong(key)
        if len(set(found)) != len(found):
            raise self._wrong(key)
        return tuple(found)


# Lease files


def lease_to_file(lease: Lease) -> bytes:
    """The content of the lease's own file. The owner is the file's owner; the uid is there to be
    compared.
    """
    return dumps(
        {
            "v": 1,
            "id": lease.id,
            "uid": lease.owner.uid,
            "env": lease.environment,
            "name": lease.name,
            "devices": list(lease.devices),
            "memory": lease.memory,
            "boot_id": lease.boot_id,
            "since_boottime_ns": lease.since_ns,
            "expires_boottime_ns": lease.expires_ns,
            "pid": lease.pid,
            "starttime": lease.starttime,
            "host": lease.host,
            "command": lease.command,
            "note": lease.note,
        }
    )


def lease_from_file(data: bytes, *, owner: Owner, identifier: str) -> Lease:
    """Read a lease file that the kernel says is `owner`'s and whose name says `identifier`.

    Raises:
        Malformed: it is not a lease, or not the lease that its name and owner say.
    """
    fields = Fields(loads(data), "the lease")
    fields.integer("v", 1, 1)
    if fields.identifier("id") != identifier:
        raise Malformed("the lease is not the one that the file's name says")
    if fields.integer("uid") != owner.uid:
        raise Malformed("the lease is not of the file's owner")
    return Lease(
        id=identifier,
        owner=owner,
        environment=fields.identifier("env"),
        name=fields.exact_text("name", NAME_LIMIT),
        devices=fields.device_ids("devices"),
        memory=fields.optional_integer("memory", 1),
        boot_id=fields.exact_text("boot_id", 64),
        since_ns=fields.integer("since_boottime_ns"),
        expires_ns=fields.optional_integer("expires_boottime_ns"),
        pid=fields.integer("pid", 0, 1 << 31),
        starttime=fields.integer("starttime"),
        host=fields.exact_text("host", 256),
        command=fields.exact_text("command", COMMAND_LIMIT),
        note=fields.exact_text("note", COMMAND_LIMIT),
    )


# The wire


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


def device_to_plain(device: Device) -> Plain:
    return {
        "uuid": device.uuid,
        "index": device.index,
        "name": device.name,
        "memory": device.memory,
        "instance": device.instance,
        "parent": device.parent,
        "simulated": device.simulated,
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
    )


def _process_to_plain(process: DeviceProcess) -> Plain:
    return {
        "pid": process.pid,
        "uid": process.uid,
        "user": process.user,
        "command": process.command,
        "memory": process.memory,
        "compute": process.compute,
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
    }


def snapshot_from_plain(plain: Any) -> Snapshot:
    fields = Fields(plain, "snapshot")
    usage = fields.raw("usage")
    if not isinstance(usage, dict) or len(usage) > _MOST_DEVICES:
        raise Malformed("snapshot has an impossible usage")
    devices = fields.values("devices", device_from_plain, _MOST_DEVICES)
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
    )


def grant_to_plain(grant: Grant) -> Plain:
    return {
        "environment": grant.environment,
        "name": grant.name,
        "owner": owner_to_plain(grant.owner),
        "devices": [device_to_plain(device) for device in grant.devices],
        "memory": grant.memory,
        "notes": list(grant.notes),
    }


def grant_from_plain(plain: Any) -> Grant:
    fields = Fields(plain, "grant")
    return Grant(
        environment=fields.identifier("environment"),
        name=fields.text("name", NAME_LIMIT),
        owner=owner_from_plain(fields.raw("owner")),
        devices=fields.values("devices", device_from_plain, _MOST_DEVICES),
        memory=fields.optional_integer("memory", 1),
        notes=fields.texts("notes", MESSAGE_LIMIT, 100),
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


def requirements_to_plain(requirements: Requirements) -> Plain:
    return {
        "gpus": requirements.gpus,
        "memory": requirements.memory,
        "among": None if requirements.among is None else list(requirements.among),
    }


def requirements_from_plain(plain: Any) -> Requirements:
    fields = Fields(plain, "requirements")
    try:
        return Requirements(
            gpus=fields.integer("gpus"),
            memory=fields.optional_integer("memory", 1),
            among=fields.integers("among", _MOST_DEVICES) if fields.has("among") else None,
        )
    except InvalidInput as error:
        raise Malformed(str(error)) from None
