"""The owners of many files, without touching what is mounted on one of them."""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING, Optional

from genvx.local.state.mounts import OPEN_DOOR, mount_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Descriptors that are open at once. The usual limit of a process is 1,024, and a program may have
# used most of them.
_BATCH = 64


def owners(names: Sequence[str], directory: int) -> Iterator[tuple[str, Optional[int]]]:
    """Yield the owner of each of many files in an open directory; files that are gone are left out.

    The owner is None if something may be mounted on the file, which is then not touched.

    This costs a third of checking the mount of each file. The list of mounts is read once, and
    after each batch of opens the kernel says whether it has changed.

    Raises:
        OSError: the files cannot be examined.
    """
    here = os.readlink(f"/proc/self/fd/{directory}")
    mount = mount_of(directory)
    with open("/proc/self/mountinfo", "rb", buffering=0) as file:
        changes = select.poll()
        # The kernel reports a change of the mounts as POLLERR and POLLPRI on an open mountinfo.
        changes.register(file, select.POLLERR | select.POLLPRI)
        mounted = _mounted_in(here, file.read())
        for first in range(0, len(names), _BATCH):
            doors: list[tuple[str, int]] = []
            try:
                for name in names[first : first + _BATCH]:
                    try:
                        doors.append((name, os.open(name, OPEN_DOOR, dir_fd=directory)))
                    except FileNotFoundError:
                        continue
                # After the opens: a mount that came before an open is in the list that was read, or
                # is a change that is reported now. One that comes later is not reached through the
                # descriptor.
                changed = bool(changes.poll(0))
                if changed:
                    file.seek(0)
                    mounted = _mounted_in(here, file.read())
                for name, descriptor in doors:
                    if name in mounted or (changed and mount_of(descriptor) != mount):
                        yield name, None
                    else:
                        yield name, os.fstat(descriptor).st_uid
            finally:
                for _, descriptor in doors:
                    os.close(descriptor)


def _mounted_in(directory: str, mountinfo: bytes) -> frozenset[str]:
    """The names in a directory that are mount points."""
    points = (os.fsdecode(words[4]) for words in map(bytes.split, mountinfo.splitlines()))
    return frozenset(os.path.basename(p) for p in points if os.path.dirname(p) == directory)
