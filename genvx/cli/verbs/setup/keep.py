"""genvx keep: the process that keeps connections between commands of genvx remote."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from genvx.cli.parse.commands import Verb
from genvx.cli.parse.groups import group
from genvx.core.quantities.ages import format_duration
from genvx.core.text import printable
from genvx.errors import StateError
from genvx.keeping import asking

if TYPE_CHECKING:
    from collections.abc import Iterator

keep = group(
    """The process that keeps connections between commands of genvx remote.

    The first command on a terminal starts it, and it ends after ten minutes without questions.
    $GENVX_KEEP sets another time, such as 1h; 0 keeps nothing.
    """
)


@keep.command(cls=Verb)
def status() -> None:
    """Show whether connections are kept, and to which hosts.

    Example: genvx keep status
    """
    for said in _told("status"):
        hosts = ", ".join(printable(str(name), 60) for name in said["hosts"]) or "no host"
        idle = format_duration(round(float(said["idle"])))
        print(f"process {int(said['pid'])}: {hosts}; ends after {idle} without questions")


@keep.command(cls=Verb)
def stop() -> None:
    """Close all connections that are kept; the next command on a terminal keeps them again.

    Example: genvx keep stop
    """
    for said in _told("stop"):
        print(f"process {int(said)} ends")


def _told(what: str) -> Iterator[Any]:
    some = False
    for said in asking.tell(os.environ, what):
        some = True
        if said is None:
            raise StateError("the process that keeps connections does not answer; end it with kill")
        yield said
    if not some:
        print("no connections are kept")
