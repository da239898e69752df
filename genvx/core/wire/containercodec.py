"""Tables of containers, for runs and for commands that are none."""

from __future__ import annotations

from genvx.core.runs.container import (
    LONGEST_IMAGE,
    LONGEST_MOUNT,
    MOST_MOUNTS,
    Container,
    Mount,
    Runtime,
)
from genvx.core.wire.tables import Table, choice, flag, many, optional, string

MOUNT = Table(
    Mount,
    "mount",
    source=string(LONGEST_MOUNT),
    target=string(LONGEST_MOUNT),
    read_only=flag(),
)
CONTAINER = Table(
    Container,
    "container",
    image=string(LONGEST_IMAGE),
    runtime=optional(choice(Runtime)),
    mounts=many(MOUNT, MOST_MOUNTS),
)
