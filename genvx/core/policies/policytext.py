"""Reads a policy.toml, the text in which an administrator writes the policy of a machine.

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
    in_use = false

    [runs]
    debug_ports = false

The tables of [enforce] are read by enforcetext.py.

A mistake is an error that names the line. An unknown key is a mistake too, because a misspelt limit
must not mean "no limit".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genvx.core.device import VisibleAs
from genvx.core.policies.enforcetext import read_enforcement
from genvx.core.policies.policy import Policy
from genvx.core.policies.policyreader import USER_NAME, PolicyReader
from genvx.core.text import printable
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


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
    reader = PolicyReader(text)
    top = reader.table(document, (), ("administrators", "limits", "devices", "runs", "enforce"))
    limits = reader.table(
        top.get("limits", {}), ("limits",), ("gpus", "memory", "time", "users", "groups")
    )
    devices = reader.table(
        top.get("devices", {}),
        ("devices",),
        ("hidden", "shared", "oversubscribed", "visible_as", "in_use"),
    )
    runs = reader.table(top.get("runs", {}), ("runs",), ("debug_ports",))
    return Policy(
        everybody=reader.limit(limits, ("limits",)),
        groups=reader.limits(limits.get("groups", {}), ("limits", "groups")),
        users=reader.limits(limits.get("users", {}), ("limits", "users")),
        administrators=reader.names(top, ("administrators",), USER_NAME, "a user"),
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
        in_use=reader.flag(devices, ("devices", "in_use"), default=True),
        debug_ports=reader.flag(runs, ("runs", "debug_ports"), default=True),
        enforcement=read_enforcement(top, reader),
    )
