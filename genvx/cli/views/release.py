"""genvx release: what was ended, and which processes go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.cli.schema.document import print_document
from genvx.cli.schema.environments import plain_user
from genvx.shown import holding

if TYPE_CHECKING:
    from collections.abc import Iterable

    from genvx.cli.ask.where import Where
    from genvx.cli.schema.document import Plain
    from genvx.core.leases.environment import Environment


def show(where: Where, host: str, ended: Environment, living: Environment) -> None:
    """Print the environment that was ended on a host. living: with the processes that go on."""
    place = f" on {host}" if where.remote else ""
    count = len(ended.devices)
    print(f"Released {ended.label}{place}: {count} device{'' if count == 1 else 's'}")
    if living.holders:
        where.note(f"these processes go on: {holding.in_line(living)}")


def document(released: Iterable[tuple[str, Environment, Environment]]) -> None:
    """Print the JSON document of what was ended: hosts, with the arguments of `show`."""
    print_document("release", hosts=[_plain(*each) for each in released])


def _plain(host: str, ended: Environment, living: Environment) -> Plain:
    return {
        "host": host,
        "ok": True,
        "released": {
            "id": ended.id,
            "name": ended.name,
            "user": plain_user(ended.owner),
            "devices": list(ended.devices),
            "pids": [each.pid for each in living.holders or ()],
        },
    }
