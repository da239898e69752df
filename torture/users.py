"""Users who are nobody: uids that this machine has given to nobody, for tests and torture."""

from __future__ import annotations

import functools
import grp
import pwd

_FIRST = 61001


@functools.cache
def free_uids(count: int) -> tuple[int, ...]:
    """So many uids from 61001 on that have no name here, neither as a user nor as a group: what
    genvx says of them is the same on every machine.
    """
    taken = {user.pw_uid for user in pwd.getpwall()} | {group.gr_gid for group in grp.getgrall()}
    found: list[int] = []
    uid = _FIRST
    while len(found) < count:
        if uid not in taken and not _has_name(uid):
            found.append(uid)
        uid += 1
    return tuple(found)


def _has_name(uid: int) -> bool:
    """Whether somebody has this uid whom a directory service knows, and does not list."""
    for find in (pwd.getpwuid, grp.getgrgid):
        try:
            find(uid)
        except KeyError:
            continue
        return True
    return False
