"""The container that somebody asks for: an image, a runtime and mounts, checked."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genvx.core.runs.container import Container


def container_of(
    image: str | None,
    runtime: str | None = None,
    mounts: str | Sequence[str] | None = None,
    *,
    remote: bool,
) -> Container | None:
    """Return the container that was asked for; None for none.

    mounts: A:B or A:B:ro each; one alone may be a text. remote: whether their paths are counted
    from the home of a host; otherwise they are from this directory.

    Raises:
        InvalidInput: one of them makes no sense.
    """
    each_mount = (mounts,) if isinstance(mounts, str) else tuple(mounts or ())
    if image is None:
        if runtime is not None or each_mount:
            given = "--mount" if each_mount else "--runtime"
            raise InvalidInput(f"{given} goes with --image")
        return None
    # Imported here: few runs have one.
    from genvx.core.runs.container import Container, Mount, parse_mount, parse_runtime

    found = [parse_mount(each) for each in each_mount]
    if not remote:
        found = [
            Mount(os.path.abspath(os.path.expanduser(each.source)), each.target, each.read_only)
            for each in found
        ]
    return Container(image, parse_runtime(runtime), tuple(found))


def require_no_python(python: str | None, wheels: object, extras: Sequence[str]) -> None:
    """Refuse a Python of the host for what is in a container.

    Raises:
        InvalidInput: one was asked for.
    """
    if python not in (None, "none") or wheels is not None or extras:
        raise InvalidInput(
            "--python, --wheels and --extra do not go with --image: the image has its own Python; "
            "--setup is run in the container"
        )
