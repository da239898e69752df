"""genvx release: what was ended, and which processes go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.cli.schema.document import print_document
from genvx.cli.schema.environments import plain_user
from genvx.shown import holding

if TYPE_CHECKING:
    from genvx.cli.ask.where import Where
    from genvx.core.environment import Environment


def show(where: Where, host: str, ended: Environment, living: Environment, *, json: bool) -> None:
    """Print the environment that was ended on a host. living: with the processes that go on."""
    if json:
        released = {
            "id": ended.id,
            "name": ended.name,
            "user": plain_user(ended.owner),
            "devices": list(ended.devices),
            "pids": [each.pid for each in living.holders or ()],
        }
        print_document("release", hosts=[{"host": host, "ok": True, "released": released}])
        return
    place = f" on {host}" if where.remote else ""
    count = len(ended.devices)
    print(f"Released {ended.label}{place}: {count} device{'' if count == 1 else 's'}")
    if living.holders:
        where.note(f"these processes go on: {holding.in_line(living)}")
