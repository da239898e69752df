"""What was copied to hosts, and from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.cli.schema.document import print_document
from genvx.cli.schema.hosts import plain_error
from genvx.cli.schema.runs import plain_run

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from genvx.cli.schema.document import Plain
    from genvx.core.projects.plan import Landed
    from genvx.core.runs.runinfo import RunInfo
    from genvx.errors import GenvxError
    from genvx.fleet.shelves.store import Put


def plain_push(
    host: str, dest: str, landed: Landed, changed: Sequence[bytes], unwanted: Sequence[bytes]
) -> Plain:
    """Return what a host got, or would get."""
    return {
        "host": host,
        "directory": dest,
        "ok": True,
        **_amounts(landed),
        "changed": _names(changed),
        "unwanted": _names(unwanted),
    }


def plain_failed_push(host: str, dest: str, error: GenvxError) -> Plain:
    """Return why a host did not get it."""
    return {"host": host, "directory": dest, "ok": False} | _failure(error)


def plain_pushed_run(host: str, place: str, put: Put, run: RunInfo) -> Plain:
    """Return what became of a run that was put on a shelf."""
    return {
        "host": host,
        "id": run.id,
        "directory": place,
        "ok": True,
        "files": put.files if put.new else 0,
        "bytes": put.size,
        "deleted": 0,
        "unwanted": [],
        "run": plain_run(run),
    }


def print_pushes(done: Iterable[Plain], *, only_said: bool) -> None:
    """Print the document of genvx push."""
    print_document("push", dry_run=only_said, copies=list(done))


def plain_pull(
    host: str,
    run: RunInfo,
    directory: str,
    landed: Landed,
    unwanted: Sequence[bytes],
    left_out: Sequence[str],
) -> Plain:
    """Return what came of a run, or would come."""
    return {
        "host": host,
        "id": run.id,
        "directory": directory,
        "ok": True,
        **_amounts(landed),
        "unwanted": _names(unwanted),
        "left_out": list(left_out),
        "run": plain_run(run),
    }


def print_pulls(done: Iterable[Plain], *, only_said: bool) -> None:
    """Print the document of genvx pull."""
    print_document("pull", dry_run=only_said, copies=list(done))


def _names(names: Sequence[bytes]) -> list[str]:
    return [name.decode("utf-8", "replace") for name in names]


def _amounts(landed: Landed) -> Plain:
    return {"files": landed.changed, "bytes": landed.size, "deleted": landed.deleted}


def _failure(error: GenvxError) -> Plain:
    return {"error": plain_error(error), "exit_code": error.exit_code}
