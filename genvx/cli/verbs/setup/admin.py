"""genvx admin: what root does once on a machine."""

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
    str | None, typer.Option("--group", metavar="GROUP", help="Admit this group only.")
]
Force = Annotated[
    bool, typer.Option("--force", help="Also while GPUs are held; they stay held, and seen.")
]

admin = options.group("What root does once on a machine.")


@admin.command(cls=Verb)
def provision(group: Group = None, force: Force = False) -> None:
    """Make the directory for leases that no user owns, and keep it over reboots. Needs root.

    Refused while GPUs are held that were taken without it.

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
            f"GPUs of this machine are in use: {_some(held)}; wait for their end, or add --force: "
            f"they stay held, and {places.unprovisioned} is looked at, too, until you provision "
            "again"
        )
    mode = 0o1777 if group is None else 0o3770
    lock_mode = 0o666 if group is None else 0o660
    try:
        _make(places, number, mode, lock_mode)
        # What is published there from now on is withdrawn again by whoever has published it.
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
    """Who holds or awaits GPUs in the place that is used without provisioning; nobody once that is
    settled.
    """
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
    """Make the directory, or put in order the one that is there.

    A new one appears complete: from that moment on everybody uses it.
    """
    new = not os.path.isdir(places.provisioned)
    root = f"{places.provisioned}.{os.urandom(4).hex()}" if new else places.provisioned
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
        os.rename(root, places.provisioned)


def _settle(places: Places) -> None:
    """Say for good that no lease lives in the former place."""
    marker = os.path.join(places.provisioned, paths.SETTLED)
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    os.close(os.open(marker, flags, 0o644))


def _fragment(places: Places, group: str, mode: int, lock_mode: int) -> str:
    """systemd-tmpfiles makes these again where /var is emptied at boot, and never ages them.

    No lease lives through a boot, so afterwards the former place is settled in any case.
    """
    root = places.provisioned
    return (
        "# written by: genvx admin provision\n"
        f"d {root} 0755 root root -\n"
        f"d {root}/leases {mode:04o} root {group} -\n"
        f"f {root}/acquire.lock {lock_mode:04o} root {group} -\n"
        f"f! {root}/{paths.SETTLED} 0644 root root -\n"
    )
