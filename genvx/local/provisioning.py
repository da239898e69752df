"""The directory for leases that no user owns: made by root, once on a machine."""

from __future__ import annotations

import os

from genvx.core.leases.environments import environments
from genvx.core.value import value
from genvx.errors import StateError
from genvx.local.state import paths, policyfile
from genvx.local.state.directory import former_directory
from genvx.local.state.paths import Places
from genvx.local.state.store import LeaseStore
from genvx.local.tmpfiles import fragment_of

__all__ = [
    "Places",
    "Provisioned",
    "has_rules",
    "held_before",
    "install_unit",
    "planned",
    "provision",
    "unit_path",
    "usual",
]


@value
class Provisioned:
    """A machine that was provisioned. leases: the directory of the leases. fragment: the file that
    keeps it over reboots; empty where the machine has no systemd-tmpfiles. held: who still holds or
    awaits GPUs in the former place.
    """

    leases: str
    fragment: str
    held: tuple[str, ...]


def usual() -> Places:
    """Return the directories of this machine."""
    return paths.USUAL


def held_before(places: Places) -> tuple[str, ...]:
    """Return who holds or awaits GPUs in the unprovisioned place; nobody once it is settled."""
    if os.path.lexists(os.path.join(places.provisioned, paths.SETTLED)):
        return ()
    former = former_directory(places.unprovisioned, os.geteuid())
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


def provision(places: Places, group: str, number: int) -> Provisioned:
    """Make the shared directory, or correct the existing one, and keep it over reboots. Needs root.

    group: the only one that is admitted, and its `number`; empty and -1: everybody is.

    Raises:
        StateError: something cannot be written.
    """
    mode, lock_mode = _modes(group)
    fragment = ""
    try:
        _make(places, number, mode, lock_mode)
        # Looked at again: somebody may have taken a GPU between the first look and the rename. From
        # now on a process that publishes in the former place notices and withdraws.
        held = held_before(places)
        if not held:
            _settle(places)
        if os.path.isdir(os.path.dirname(places.tmpfiles)):
            fragment = places.tmpfiles
            with open(fragment, "w", encoding="ascii") as file:
                file.write(fragment_of(places, group or "root", mode, lock_mode))
    except OSError as error:
        raise StateError(f"cannot provision {error.filename}: {error.strerror}") from None
    return Provisioned(os.path.join(places.provisioned, "leases"), fragment, held)


def planned(places: Places, group: str) -> tuple[tuple[str, str], ...]:
    """Return the files that `provision` would write besides the directory: path and content."""
    if not os.path.isdir(os.path.dirname(places.tmpfiles)):
        return ()
    mode, lock_mode = _modes(group)
    return ((places.tmpfiles, fragment_of(places, group or "root", mode, lock_mode)),)


def _modes(group: str) -> tuple[int, int]:
    """The modes of the directory and of the lock in it."""
    # Sticky: users can make their own directories, and nobody delete those of others. With a group
    # also set-gid, and closed to everybody else.
    return (0o3770, 0o660) if group else (0o1777, 0o666)


def has_rules(places: Places) -> bool:
    """Whether the policy of the machine has rules for genvx enforce.

    Raises:
        StateError: the policy cannot be read, or has a mistake.
    """
    return policyfile.read(places.provisioned).enforcement is not None


def unit_path(places: Places, name: str) -> str:
    """Return where a unit of systemd goes.

    Raises:
        StateError: this machine has no systemd.
    """
    if not os.path.isdir(places.units):
        raise StateError(f"there is no {places.units}: this machine does not use systemd")
    return os.path.join(places.units, name)


def install_unit(places: Places, name: str, text: str) -> str:
    """Write a unit of systemd, or replace it; return its path. Needs root.

    Raises:
        StateError: this machine has no systemd, or the unit cannot be written.
    """
    path = unit_path(places, name)
    partial = f"{path}.{os.urandom(4).hex()}"
    try:
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
            os.fchmod(file.fileno(), 0o644)
        os.rename(partial, path)
    except OSError as error:
        raise StateError(f"cannot write {path}: {error.strerror}") from None
    return path


def _make(places: Places, group: int, mode: int, lock_mode: int) -> None:
    """Make the directory, or correct the modes and owners of the existing one.

    A new one appears complete, by a rename: from that moment on everybody uses it.
    """
    new = not os.path.isdir(places.provisioned)
    root = f"{places.provisioned}.{os.urandom(4).hex()}" if new else places.provisioned
    leases, lock = os.path.join(root, "leases"), os.path.join(root, "acquire.lock")
    os.makedirs(root, mode=0o755, exist_ok=True)
    os.chown(root, 0, 0)
    os.chmod(root, 0o755)
    # Owner and group before the mode: an open directory must not have a wrong group, even briefly.
    os.makedirs(leases, mode=0o700, exist_ok=True)
    os.chown(leases, 0, group)
    os.chmod(leases, mode)
    # O_NOFOLLOW, and the mode by descriptor: as root we must not follow a link to another file.
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.fchown(descriptor, 0, group)
        os.fchmod(descriptor, lock_mode)
    finally:
        os.close(descriptor)
    if new:
        os.rename(root, places.provisioned)


def _settle(places: Places) -> None:
    """Record that the former place has no leases any more, and need not be read again."""
    marker = os.path.join(places.provisioned, paths.SETTLED)
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    os.close(os.open(marker, flags, 0o644))
