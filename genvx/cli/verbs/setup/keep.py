"""genvx keep: the process that keeps connections between commands of genvx remote."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from genvx.cli.ask import options
from genvx.cli.parse.declaring import Group
from genvx.cli.schema.document import print_document
from genvx.core.quantities.ages import format_duration
from genvx.core.text import printable
from genvx.errors import StateError
from genvx.keeping import asking

if TYPE_CHECKING:
    from collections.abc import Iterator

keep = Group(
    """The process that keeps connections between commands of genvx remote.

    The first such command on a terminal starts it, and it ends ten minutes after the last one.
    $GENVX_KEEP sets another time, such as 1h; 0 keeps nothing.
    """
)


@keep.command()
def status(json: options.Json = False) -> None:
    """Show whether connections are kept, and to which hosts.

    Example: genvx keep status
    """
    keepers: list[dict[str, Any]] = [
        {
            "pid": int(said["pid"]),
            "hosts": [printable(str(name), 60) for name in said["hosts"]],
            "idle_seconds": float(said["idle"]),
        }
        for said in _told("status")
    ]
    if json:
        print_document("keep status", processes=keepers)
        return
    for each in keepers:
        idle = format_duration(round(each["idle_seconds"]))
        hosts = ", ".join(each["hosts"]) or "no host"
        print(f"process {each['pid']}: {hosts}; ends after {idle} without questions")
    if not keepers:
        print("no connections are kept")


@keep.command()
def stop(json: options.Json = False) -> None:
    """Close all connections that are kept; the next command on a terminal keeps them again.

    Commands that run go on.

    Example: genvx keep stop
    """
    ended = []
    for said in _told("stop"):
        ended.append({"pid": int(said)})
        if not json:
            print(f"process {int(said)} ends")
    if json:
        print_document("keep stop", processes=ended)
    elif not ended:
        print("no connections are kept")


def _told(what: str) -> Iterator[Any]:
    for said in asking.tell(os.environ, what):
        if said is None:
            raise StateError("the process that keeps connections does not answer; end it with kill")
        yield said
