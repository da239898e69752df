"""Completions for the Tab key: environments, devices and hosts.

They never come from another machine, which could take seconds. On any error there are none: a
message would mix with the line that the user types.
"""

from __future__ import annotations

import os
from typing import Any

from genvx.cli.parse.declaring import Context
from genvx.core.text import printable
from genvx.errors import GenvxError

Offers = list[tuple[str, str]]


def environments(context: Context, incomplete: str) -> Offers:
    """Offer our environments on this machine, by id."""
    from genvx.local.host import LocalHost

    if _remote(context):
        return []
    try:
        host = LocalHost()
        found = host.snapshot_with(host.survey()).environments
        mine = [env for env in found if env.owner.uid == host.state.uid]
    except GenvxError:
        return []
    return [
        (env.id, printable(env.name or env.command, 40))
        for env in mine
        if env.id.startswith(incomplete)
    ]


def devices(context: Context, incomplete: str) -> Offers:
    """Offer the devices of this machine, by number; after a comma, another one."""
    from genvx.local.host import LocalHost

    if _remote(context):
        return []
    before, comma, last = incomplete.rpartition(",")
    try:
        host = LocalHost()
        snapshot = host.snapshot_with(host.survey())
    except GenvxError:
        return []
    return [
        (before + comma + device.label, f"{device.shown_name}, {snapshot.state(device).value}")
        for device in snapshot.devices
        if device.label.startswith(last) and device.label not in before.split(",")
    ]


def hosts(context: Context, incomplete: str) -> Offers:
    """Offer the hosts of the hostfile that would be used; after a comma, another one."""
    from genvx.fleet.hosts import hostfile

    before, comma, last = incomplete.rpartition(",")
    try:
        remote = _given(context, "named")
        if remote is not None:
            from genvx.fleet.remotes.reading import remotes_named

            # Where a rented machine is, only the cloud knows; where an allocation is, Slurm.
            known = [each for each in remotes_named(remote, os.environ) if each.type == "ssh"]
            specs = tuple(spec for each in known for spec in each.specs())
        else:
            specs = hostfile.load(_given(context, "hostfile") or hostfile.find(os.environ))
        names = [spec.name for spec in specs]
    except GenvxError:
        return []
    return [
        (before + comma + name, "")
        for name in names
        if name.startswith(last) and name not in before.split(",")
    ]


def _given(context: Any, name: str) -> Any:
    """Return the value of an option of this verb or of a group above it."""
    # A hostfile may be named after the verb or before it, where it belongs to `remote`.
    while context is not None:
        if context.params.get(name) is not None:
            return context.params[name]
        context = context.parent
    return None


def _remote(context: Any) -> bool:
    while context is not None:
        if context.info_name == "remote":
            return True
        context = context.parent
    return False
