"""genvx attach and genvx detach: what an environment has then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.cli.schema.document import print_document
from genvx.cli.schema.environments import plain_grant
from genvx.shown.mine import has

if TYPE_CHECKING:
    from genvx.cli.ask.where import Where
    from genvx.core.leases.grant import Grant


def show(where: Where, verb: str, host: str, grant: Grant, *, json: bool) -> None:
    """Print what an environment on a host has now."""
    if json:
        print_document(verb, hosts=[{"host": host, "ok": True, **plain_grant(grant)}])
        return
    place = f" on {host}" if where.remote else ""
    print(f"{has(grant)}{place}")
