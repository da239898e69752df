"""What the administrator of a machine allows: limits, hidden devices, devices that may be shared.

    administrators = ["ann"]

    [limits]                      # everybody
    gpus = 4
    memory = "320G"
    time = "24h"

    [limits.groups.students]      # each member
    gpus = 1

    [limits.users.raz]
    gpus = 8

    [devices]
    hidden = [7]
    shared = [0, 1]
    oversubscribed = [1]
    visible_as = "index"

A mistake is an error that names the line. An unknown key is a mistake too, because a misspelt limit
must not mean "no limit".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Optional

from genvx.core.device import VisibleAs
from genvx.core.text import is_device_id, printable
from genvx.core.units import format_duration, format_memory, parse_duration, parse_memory
from genvx.core.value import field, value
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from genvx.core.device import Device
    from genvx.core.lease import Lease

_MOST_NAMES = 4096
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@+-]{0,127}\$?", re.ASCII)
_LABEL = re.compile(r"\d{1,6}(?::\d{1,4})?", re.ASCII)


@value
class Limit:
    """The most that one user may hold on this machine at once; None means no limit.

    gpus: devices. memory: bytes in total. time: seconds that an environment may last.
    """

    gpus: Optional[int] = None
    memory: Optional[int] = None
    time: Optional[float] = None

    def __str__(self) -> str:
        parts = []
        if self.gpus is not None:
            parts.append(f"{self.gpus} GPU{'' if self.gpus == 1 else 's'}")
        if self.memory is not None:
            parts.append(format_memory(self.memory))
        if self.time is not None:
            parts.append(f"for {format_duration(self.time)}")
        return ", ".join(parts) or "no limit"


@value
class Policy:
    """The policy of one machine.

    hidden: devices that only administrators see. shared: devices that may be shared; None for all.
    oversubscribed: devices whose shares may add up to more than their memory. visible_as: how
    CUDA_VISIBLE_DEVICES names devices if the request does not say.

    Devices are named by UUID or by number.
    """

    everybody: Limit = field(default_factory=Limit)
    groups: Mapping[str, Limit] = field(default_factory=dict)
    users: Mapping[str, Limit] = field(default_factory=dict)
    administrators: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    shared: Optional[tuple[str, ...]] = None
    oversubscribed: tuple[str, ...] = ()
    visible_as: Optional[VisibleAs] = None

    def limit(self, user: str, groups: Iterable[str]) -> Limit:
        """Return the limit of a user; administrators have none.

        For each key it is the user's own; else the most generous of their groups'; else
        everybody's.
        """
        if self.is_administrator(user):
            return Limit()
        own = self.users.get(user, Limit())
        theirs = [self.groups[group] for group in groups if group in self.groups]

        def most(of: Callable[[Limit], Any]) -> Any:
            if of(own) is not None:
                return of(own)
            # The most generous group wins: being in one more group never takes anything away.
            given = [of(limit) for limit in theirs if of(limit) is not None]
            return max(given) if given else of(self.everybody)

        return Limit(
            most(lambda limit: limit.gpus),
            most(lambda limit: limit.memory),
            most(lambda limit: limit.time),
        )

    def is_administrator(self, user: str) -> bool:
        """Whether a user is root or a named administrator."""
        return user == "root" or user in self.administrators

    def hides(self, device: Device) -> bool:
        """Whether only administrators see a device."""
        return _is_named(device, self.hidden)

    def shares(self, device: Device) -> bool:
        """Whether several environments may hold parts of a device."""
        return self.shared is None or _is_named(device, self.shared)

    def oversubscribes(self, device: Device) -> bool:
        """Whether the parts of a device may add up to more than its memory."""
        return _is_named(device, self.oversubscribed)


def _is_named(device: Device, names: Sequence[str]) -> bool:
    # A MIG instance is also named by its GPU's UUID or index: one entry covers all instances.
    return bool({device.uuid, device.label, device.parent, str(device.index)} & {*names})


@value
class Entitlement:
    """What one user may do on a host: the host's policy, and the limit that applies to the user."""

    user: str
    policy: Policy
    limit: Limit


def excess(
    limit: Limit, uid: int, leases: Iterable[Lease], memory: Mapping[str, Optional[int]]
) -> Optional[str]:
    """Return how a user's leases exceed a limit, as words after "you may"; None if they do not.

    memory: bytes of each device.
    """
    held: dict[tuple[str, str], int] = {}
    for lease in leases:
        if lease.owner.uid == uid:
            for uuid in lease.devices:
                # The members of one environment share its hold, so each device of an environment
                # counts once, with its largest share.
                key = (lease.environment_id, uuid)
                size = memory.get(uuid) if lease.memory is None else lease.memory
                held[key] = max(held.get(key) or 0, size or 0)
    devices = {uuid for _, uuid in held}
    if limit.gpus is not None and len(devices) > limit.gpus:
        return f"hold {limit.gpus} GPU{'' if limit.gpus == 1 else 's'} at once here"
    if limit.memory is not None and sum(held.values()) > limit.memory:
        return f"hold {format_memory(limit.memory)} of GPU memory at once here"
    return None


def parse(text: str, load: Callable[[str], Mapping[str, Any]]) -> Policy:
    """Read the text of a policy.toml.

    load: parses TOML; raises ValueError for text that is not TOML.

    Raises:
        InvalidInput: there is a mistake; the message names the line.
    """
    try:
        document = load(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"policy.toml: {printable(str(error), 200)}") from None
    reader = _Reader(text)
    top = reader.table(document, (), ("administrators", "limits", "devices"))
    limits = reader.table(
        top.get("limits", {}), ("limits",), ("gpus", "memory", "time", "users", "groups")
    )
    devices = reader.table(
        top.get("devices", {}), ("devices",), ("hidden", "shared", "oversubscribed", "visible_as")
    )
    return Policy(
        everybody=reader.limit(limits, ("limits",)),
        groups=reader.limits(limits.get("groups", {}), ("limits", "groups")),
        users=reader.limits(limits.get("users", {}), ("limits", "users")),
        administrators=reader.names(top, ("administrators",), _NAME, "a user"),
        hidden=reader.names(devices, ("devices", "hidden"), None, "a device") or (),
        shared=(
            reader.names(devices, ("devices", "shared"), None, "a device")
            if "shared" in devices
            else None
        ),
        oversubscribed=reader.names(devices, ("devices", "oversubscribed"), None, "a device") or (),
        visible_as=reader.quantity(
            devices, ("devices", "visible_as"), VisibleAs.parse, '"uuid" or "index"'
        ),
    )


class _Reader:
    """Takes values out of a document, and says on which line one is wrong."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()

    def fail(self, path: Sequence[str], message: str) -> InvalidInput:
        line = self._line(path)
        where = f"line {line}: " if line else ""
        shown = printable(".".join(path), 200)
        return InvalidInput(f"policy.toml: {where}{shown}: {message}")

    def _line(self, path: Sequence[str]) -> int:
        """The line of a key, as far as a simple search can tell; 0 if unknown."""
        table: list[str] = []
        for number, line in enumerate(self._lines, 1):
            # TOML parsers do not report where a value was. A search of the lines is good enough for
            # a message; if it misses a key, the line of its table is named.
            head = re.match(r"\s*\[+([^]]+)\]", line)
            if head:
                table = [part.strip(" \"'") for part in head[1].split(".")]
                if table == list(path):
                    return number
                continue
            key = re.match(r"\s*([^=#]+?)\s*=", line)
            if key and [*table, *(p.strip(" \"'") for p in key[1].split("."))] == list(path):
                return number
        return self._line(path[:-1]) if len(path) > 1 else 0

    def table(self, value: Any, path: tuple[str, ...], keys: Sequence[str]) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise self.fail(path, "must be a table")
        for key in value:
            # A misspelt limit that was ignored would allow everything.
            if key not in keys:
                shown = printable(str(key), 60)
                raise self.fail((*path, key), f"unknown key {shown!r}; known are {', '.join(keys)}")
        return value

    def limits(self, value: Any, path: tuple[str, ...]) -> dict[str, Limit]:
        if not isinstance(value, dict) or len(value) > _MOST_NAMES:
            raise self.fail(path, "must be a table of tables")
        for name in value:
            if _NAME.fullmatch(name) is None:
                raise self.fail((*path, name), "not the name of a user or a group")
        return {
            name: self.limit(
                self.table(item, (*path, name), ("gpus", "memory", "time")), (*path, name)
            )
            for name, item in value.items()
        }

    def limit(self, table: Mapping[str, Any], path: tuple[str, ...]) -> Limit:
        gpus = table.get("gpus")
        # TOML has booleans, and True is an int to isinstance().
        if gpus is not None and (type(gpus) is not int or not 0 <= gpus <= 1 << 20):
            raise self.fail((*path, "gpus"), "must be a whole number")
        return Limit(
            gpus,
            self.quantity(table, (*path, "memory"), parse_memory),
            self.quantity(table, (*path, "time"), parse_duration),
        )

    def quantity(
        self,
        table: Mapping[str, Any],
        path: tuple[str, ...],
        parse: Callable[[str], Any],
        example: str = '"40G" or "24h"',
    ) -> Any:
        text = table.get(path[-1])
        if text is None:
            return None
        if not isinstance(text, str):
            raise self.fail(path, f"must be text, such as {example}")
        try:
            return parse(text)
        except InvalidInput as error:
            raise self.fail(path, str(error)) from None

    def names(
        self,
        table: Mapping[str, Any],
        path: tuple[str, ...],
        pattern: Optional[re.Pattern[str]],
        what: str,
    ) -> tuple[str, ...]:
        """Users, or, without a pattern, devices."""
        value = table.get(path[-1], [])
        if not isinstance(value, list) or len(value) > _MOST_NAMES:
            raise self.fail(path, "must be a list")
        found = []
        for item in value:
            text = str(item) if type(item) is int and not pattern else item
            fine = isinstance(text, str) and (
                pattern.fullmatch(text) if pattern else _LABEL.fullmatch(text) or is_device_id(text)
            )
            if not fine:
                raise self.fail(path, f"not {what}: {printable(str(item), 60)!r}")
            found.append(text)
        return tuple(found)
