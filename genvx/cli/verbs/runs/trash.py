"""genvx runs delete, restore and purge: the trash for runs that are over."""

from __future__ import annotations

from genvx.cli.ask import options
from genvx.cli.ask.runs import Runs, Unasked
from genvx.cli.parse.declaring import Context
from genvx.cli.verbs.runs.several import ask_each


def delete(context: Context, run: Runs, yes: Unasked = False, json: options.Json = False) -> None:
    """Move runs that are over into the trash.

    Example: genvx runs delete 2
    """
    _dispose(context, run, "delete", "deleted", json=json)


def restore(context: Context, run: Runs, yes: Unasked = False, json: options.Json = False) -> None:
    """Take runs out of the trash.

    Example: genvx runs restore 15ab02cd
    """
    _dispose(context, run, "restore", "restored", json=json)


def purge(context: Context, run: Runs, yes: Unasked = False, json: options.Json = False) -> None:
    """Delete runs in the trash for good; this frees the disk.

    Example: genvx runs purge 15ab02cd
    """
    _dispose(context, run, "purge", "purged", json=json)


def _dispose(context: Context, wanted: list[str], how: str, did: str, *, json: bool) -> None:
    from genvx.core.wire.runoperations import Disposal, DisposeOfRun

    ask_each(
        context,
        wanted,
        lambda found: DisposeOfRun(found.asked_as, Disposal(how)),
        did,
        deleted=how != "delete",
        json=json,
    )
