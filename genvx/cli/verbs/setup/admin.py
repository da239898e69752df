"""genvx admin: set up a machine, once, as root."""

from __future__ import annotations

import grp
import os
from typing import TYPE_CHECKING, Annotated

import typer

from genvx.cli.ask import options
from genvx.cli.commands import Verb
from genvx.core.lease import environments
from genvx.core.text import printable
from genvx.errors import InvalidInput, StateError
from genvx.local.state import paths
from genvx.local.state.directory import former_directory
from genvx.local.state.store import LeaseStore

if TYPE_CHECKING:
    from genvx.local.state.paths import Places

_SHOWN = 3

Group = Annotated[
    str | None,
    typer.Option("--group", metavar="GROUP", help="Group to admit (default: everybody)."),
]
Force = Annotated[
    bool, typer.Option("--force", help="Proceed while GPUs are held; they stay held.")
]

admin = options.group("What root does once on a machine.")


@admin.command(cls=Verb)
def provision(group: Group = None, force: Force = False) -> None:
    """Make the shared directory for leases, and again at each boot. Needs root.

    The directory belongs to root, not to the first user who takes a GPU. The command is refused
    while GPUs are held that were taken without it.

    Example: sudo genvx admin provision
    """
    provision_in(paths.USUAL, group, force=force)


def provision_in(places: Places, group: str | None = None, *, force: bool = False) -> None:
    """What `provision` does, for a machine whose directories may be elsewhere than usual."""
    if os.geteuid() != 0:
        raise InvalidInput("only root can provision a machine: sudo genvx admin provision")
    try:
        number = -1 if group is None else grp.getgrnam(group).gr_gid
    except KeyError:
        raise InvalidInput(f"no group {printable(group or '', 60)!r} on this machine") from None
    held = _held_before(places)
    if held and not force and not os.path.isdir(places.provisioned):
        raise StateError(
            f"GPUs of this machine are in use: {_some(held)}; wait until they are released, or add "
            f"--force: they stay held, and {places.unprovisioned} is read as well until you "
            "provision again"
        )
    # Sticky: users can make their own directories, and nobody delete those of others. With a group
    # also set-gid, and closed to everybody else.
    mode = 0o1777 if group is None else 0o3770
    lock_mode = 0o666 if group is None else 0o660
    try:
        _make(places, number, mode, lock_mode)
        # Looked at again: somebody may have taken a GPU between the first look and the rename. From
        # now on a process that publishes in the former place notices and withdraws.
        held = _held_before(places)
        if not held:
            _settle(places)
        fragment = _fragment(places, group or "root", mode, lock_mode)
        if os.path.isdir(os.path.dirname(places.tmpfiles)):
            with open(places.tmpfiles, "w", encoding="ascii") as file:
                file.write(fragment)
            print(f"wrote {places.tmpfiles}")
    except OSError as error:
        raise StateError(f"cannot provision {error.filename}: {error.strerror}") from None
    leases = os.path.join(places.provisioned, "leases")
    print(f"leases live in {leases}" + (f", for group {group}" if group else ", for everybody"))
    if held:
        print(
            f"what is held in {places.unprovisioned} stays held: {_some(held)}; provision again "
            "when it has ended"
        )


def _held_before(places: Places) -> tuple[str, ...]:
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


def _some(items: tuple[str, ...]) -> str:
    more = f", and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return printable(", ".join(items[:_SHOWN]), 300) + more


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


def _fragment(places: Places, group: str, mode: int, lock_mode: int) -> str:
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
