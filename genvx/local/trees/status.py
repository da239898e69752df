"""Entries of files here, from what the kernel says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.projects.manifest import FILE, LINK, Entry

if TYPE_CHECKING:
    import os


def is_sparse(status: os.stat_result) -> bool:
    """Whether a file has holes."""
    return status.st_blocks * 512 < status.st_size


def entry_of(name: bytes, kind: str, status: os.stat_result) -> Entry:
    """The entry of a file, a directory or a link here; without digests, and without a target."""
    file = kind == FILE
    return Entry(
        name,
        kind,
        # Of a link it means nothing, and not all systems have the same.
        0o777 if kind == LINK else status.st_mode & 0o777,
        status.st_mtime_ns,
        status.st_size if file else 0,
        sparse=file and is_sparse(status),
    )
