"""What keeps the provisioned directory over reboots: a fragment for systemd-tmpfiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.local.state import paths

if TYPE_CHECKING:
    from genvx.local.state.paths import Places


def fragment_of(places: Places, group: str, mode: int, lock_mode: int) -> str:
    """Return a fragment for systemd-tmpfiles, which makes the directory again at boot.

    "-" keeps it from being cleaned by age. "f!" is done at boot only: no lease survives a boot, so
    the former place is settled then.
    """
    root = places.provisioned
    return (
        "# written by: genvx admin provision\n"
        f"d {root} 0755 root root -\n"
        f"d {root}/leases {mode:04o} root {group} -\n"
        f"f {root}/acquire.lock {lock_mode:04o} root {group} -\n"
        f"f! {root}/{paths.SETTLED} 0644 root root -\n"
    )
