"""What was copied to hosts, and from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.cli.schema.document import print_document
from genvx.cli.schema.hosts import plain_error
from genvx.core.projects.manifest import shown_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from genvx.cli.pushing import Pushed
    from genvx.cli.schema.document import Plain
    from genvx.core.projects.plan import Landed
    from genvx.errors import GenvxError


def plain_push(host: str, dest: str, pushed: Pushed) -> Plain:
    """Return what a host got, or would get."""
    assert pushed.landed is not None
    return {
        "host": host,
        "directory": dest,
        "ok": True,
        **_amounts(pushed.landed),
        "changed": [shown_name(name) for name in pushed.changed],
        "unwanted": [shown_name(name) for name in pushed.extra],
    }


def plain_failed_push(host: str, dest: str, error: GenvxError) -> Plain:
    """Return why a host did not get it."""
    return {"host": host, "directory": dest, "ok": False} | _failure(error)


def print_pushes(done: Iterable[Plain], *, only_said: bool) -> None:
    """Print the document of genvx push."""
    print_document("push", dry_run=only_said, copies=list(done))


def _amounts(landed: Landed) -> Plain:
    return {"files": landed.changed, "bytes": landed.size, "deleted": landed.gone}


def _failure(error: GenvxError) -> Plain:
    return {"error": plain_error(error), "exit_code": error.exit_code}
