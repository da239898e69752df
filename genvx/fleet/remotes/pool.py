"""The hosts of all remotes together, each once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from genvx.errors import GenvxError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from genvx.fleet.hosts.hostspec import HostSpec
    from genvx.fleet.remotes.remote import Remote


def pooled(
    remotes: Iterable[Remote], failed: Callable[[str, GenvxError], object]
) -> tuple[HostSpec, ...]:
    """Return the hosts of remotes over SSH; connect to none.

    A host that several remotes reach in the same way is there once. Of two with one name the second
    is called REMOTE/HOST. failed: called with a remote whose hosts cannot be known, and why.
    """
    found: dict[str, HostSpec] = {}
    ways = set()
    for remote in remotes:
        # Without a type it is there for others, which extend it.
        if remote.type != "ssh":
            continue
        try:
            specs = remote.specs()
        except GenvxError as error:
            failed(remote.name, error)
            continue
        for spec in specs:
            # With the way: a private address means another machine behind each jump host.
            through = (spec.proxy_jump, spec.proxy_command, spec.ssh_config)
            way = (spec.address, spec.user, spec.port, spec.runs, *through)
            if way in ways:
                continue
            ways.add(way)
            name = spec.name if spec.name not in found else f"{remote.name}/{spec.name}"
            found[name] = replace(spec, name=name)
    return tuple(found.values())
