"""What the kernel lists of mounts: which kind a file system is, and who sees a mount."""

from __future__ import annotations

import os
from typing import Optional

# File systems whose locks may outlive their holder, such as when a client host crashes: a lease
# there would never end. "fuse" and its variants may do anything.
_NETWORK = {
    "9p", "afs", "beegfs", "ceph", "cifs", "fuse", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs",
    "nfs", "nfs4", "ocfs2", "orangefs", "smb3", "smbfs", "virtiofs",
}  # fmt: skip


def network_kind(descriptor: int) -> Optional[str]:
    """Return the kind of an open file's file system if its locks may outlive their holder, else
    None.

    These are network file systems and FUSE.
    """
    device = os.fstat(descriptor).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    # A subvolume of btrfs has a device number that is not listed; btrfs is local.
    kind = next((kind for _, which, _, kind in _mounts("self") if which == wanted), "")
    return kind if kind in _NETWORK or kind.startswith("fuse") else None


def is_private(path: str) -> bool:
    """Whether a directory differs from the one that process 1 has under the same path.

    This is so with PrivateTmp of systemd, and with the tmpfs of Slurm's jobs. Process 1 is the
    first of this machine, or of this container. False if unknown.
    """
    ours, theirs = _origin(path, "self"), _origin(path, "1")
    if ours is None:
        return False
    if theirs is None:
        # Other users' processes are hidden: a part of a file system on exactly this path is a sign.
        return ours[2] == path and ours[1] != "/"
    return ours[:2] != theirs[:2]


def is_mounted(path: str) -> bool:
    """Whether a directory is on a mount other than the one on /."""
    origin = _origin(path, "self")
    return origin is not None and origin[2] != "/"


def _origin(path: str, process: str) -> Optional[tuple[str, str, str]]:
    """Where a process's directory comes from: device, path in its file system, mount point."""
    best: Optional[tuple[str, str, str]] = None
    for point, device, root, _ in _mounts(process):
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        # The longest mount point wins; of mounts on one point the last, which hides the others.
        if inside and (best is None or len(point) >= len(best[2])):
            rest = path[len(point) :].lstrip("/")
            best = (device, os.path.join(root, rest).rstrip("/") or "/", point)
    return best


def _mounts(process: str) -> list[tuple[str, str, str, str]]:
    """The mounts that a process sees, in order: mount point, device, path in it, kind."""
    try:
        with open(f"/proc/{process}/mountinfo", encoding="utf-8", errors="replace") as file:
            lines = [line.split() for line in file]
    except OSError:
        return []
    return [
        (words[4], words[2], words[3], words[words.index("-") + 1])
        for words in lines
        if len(words) > 9 and "-" in words[:-1]
    ]
