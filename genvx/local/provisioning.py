"""The directory for leases that no user owns: made by root, once on a machine."""

from __future__ import annotations

import os

from genvx.core.lease import environments
from genvx.core.value import value
from genvx.errors import StateError
from genvx.local.state import paths
from genvx.local.state.directory import former_directory
from genvx.local.state.store import LeaseStore

TMPFILES = "/etc/tmpfiles.d/genvx.conf"


@value
class Provisioned:
    """A machine that was provisioned. leases: the directory of the leases. fragment: the file that
    keeps it over reboots; empty where the machine has no systemd-tmpfiles. held: who still holds or
    awaits GPUs in the former place.
    """

    leases: str
    fragment: str
    held: tuple[str, ...]


def former_place() -> str:
    """The place that is used without provisioning."""
    return paths.UNPROVISIONED


def is_provisioned() -> bool:
    """Whether this machine has been provisioned before."""
    return os.path.isdir(paths.PROVISIONED)


def held_before() -> tuple[str, ...]:
    """Who holds or awaits GPUs in the place that is used without provisioning; nobody once that is
    settled.
    """
    if os.path.lexists(os.path.join(paths.PROVISIONED, paths.SETTLED)):
        return ()
    former = former_directory(paths.UNPROVISIONED, os.geteuid())
    if former is None:
        return ()
    try:
        scan = LeaseStore(former).scan()
    finally:
        former.close()
    return (
        *(f"{each.label} of {each.owner}" for each in environments(scan.leases)),
        *(f"{each.owner} waits in line" for each in scan.tickets),
    )


def provision(group: str, number: int) -> Provisioned:
    """Make the directory, or put it in order, and keep it over reboots. Needs root.

    group: the only one that is admitted, and its `number`; empty and -1: everybody is.

    Raises:
        StateError: something cannot be written.
    """
    mode, lock_mode = (0o3770, 0o660) if group else (0o1777, 0o666)
    fragment = ""
    try:
        _make(number, mode, lock_mode)
        # What is published there from now on is withdrawn again by whoever has published it.
        held = held_before()
        if not held:
            _settle()
        if os.path.isdir(os.path.dirname(TMPFILES)):
            fragment = TMPFILES
            with open(fragment, "w", encoding="ascii") as file:
                file.write(_fragment(group or "root", mode, lock_mode))
    except OSError as error:
        raise StateError(f"cannot provision {error.filename}: {error.strerror}") from None
    return Provisioned(os.path.join(paths.PROVISIONED, "leases"), fragment, held)


def _make(group: int, mode: int, lock_mode: int) -> None:
    """Make the directory, or put in order the one that is there.

    A new one appears complete: from that moment on everybody uses it.
    """
    new = not os.path.isdir(paths.PROVISIONED)
    root = f"{paths.PROVISIONED}.{os.urandom(4).hex()}" if new else paths.PROVISIONED
    leases, lock = os.path.join(root, "leases"), os.path.join(root, "acquire.lock")
    os.makedirs(root, mode=0o755, exist_ok=True)
    os.chown(root, 0, 0)
    os.chmod(root, 0o755)
    os.makedirs(leases, mode=0o700, exist_ok=True)
    os.chown(leases, 0, group)
    os.chmod(leases, mode)
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.fchown(descriptor, 0, group)
        os.fchmod(descriptor, lock_mode)
    finally:
        os.close(descriptor)
    if new:
        os.rename(root, paths.PROVISIONED)


def _settle() -> None:
    """Say for good that no lease lives in the former place."""
    marker = os.path.join(paths.PROVISIONED, paths.SETTLED)
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    os.close(os.open(marker, flags, 0o644))


def _fragment(group: str, mode: int, lock_mode: int) -> str:
    """systemd-tmpfiles makes these again where /var is emptied at boot, and never ages them.

    No lease lives through a boot, so afterwards the former place is settled in any case.
    """
    root = paths.PROVISIONED
    return (
        "# written by: genvx admin provision\n"
        f"d {root} 0755 root root -\n"
        f"d {root}/leases {mode:04o} root {group} -\n"
        f"f {root}/acquire.lock {lock_mode:04o} root {group} -\n"
        f"f! {root}/{paths.SETTLED} 0644 root root -\n"
    )
