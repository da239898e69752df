"""How the project of a run differed from its commit: a file in the directory of the run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from genvx.core.projects.project import MOST_DIFF
from genvx.local.diskerror import disk_error

if TYPE_CHECKING:
    from genvx.core.runs.run import RunSpec
    from genvx.local.runs.record import RunDirectory

DIFF = "project.diff"
_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def write(directory: RunDirectory, spec: RunSpec) -> None:
    """Write it, if it differed. Raises StateError."""
    if spec.project is None or not spec.project.diff:
        return
    path = os.path.join(directory.path, DIFF)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600)
        with open(descriptor, "wb") as file:
            file.write(spec.project.diff)
    except OSError as error:
        raise disk_error(error, f"write to {path}") from None


def read(directory: RunDirectory) -> bytes:
    """Return it; nothing where there is none."""
    try:
        descriptor = os.open(os.path.join(directory.path, DIFF), os.O_RDONLY | _FLAGS)
        with open(descriptor, "rb") as file:
            return file.read(MOST_DIFF)
    except OSError:
        return b""
