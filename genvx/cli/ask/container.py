"""The options for the container of a run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genvx.core.runs.container import Container


def container_of(
    image: str | None, runtime: str | None, mounts: Sequence[str] | None, *, remote: bool
) -> Container | None:
    """Return the container that was asked for; None for none.

    remote: whether the paths of mounts are counted from the home of a host; otherwise they are from
    this directory.

    Raises:
        InvalidInput: an option makes no sense.
    """
    if image is None:
        if runtime is not None or mounts:
            given = "--mount" if mounts else "--runtime"
            raise InvalidInput(f"{given} goes with --image")
        return None
    # Imported here: few runs have one.
    from genvx.core.runs.container import Container, Mount, parse_mount, parse_runtime

    found = [parse_mount(each) for each in mounts or ()]
    if not remote:
        found = [
            Mount(os.path.abspath(os.path.expanduser(each.source)), each.target, each.read_only)
            for each in found
        ]
    return Container(image, parse_runtime(runtime), tuple(found))
