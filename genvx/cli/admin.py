"""genvx admin: what root does once on a machine."""

from __future__ import annotations

import grp
import os
from typing import Annotated

import typer

from genvx.cli import options
from genvx.cli.commands import Verb
from genvx.core.text import printable
from genvx.errors import InvalidInput, StateError
from genvx.local.paths import PROVISIONED

_TMPFILES = "/etc/tmpfiles.d/genvx.conf"

Group = Annotated[
    str | None, typer.Option("--group", metavar="GROUP", help="Admit this group only.")
]

admin = options.group("What root does once on a machine.")


@admin.command(cls=Verb)
def provision(group: Group = None) -> None:
    """Make the directory for leases that no user owns, and keep it over reboots. Needs root.

    Example: sudo genvx admin provision
    """
    if os.geteuid() != 0:
        raise InvalidInput("only root can provision a machine: sudo genvx admin provision")
    try:
        number = -1 if group is None else grp.getgrnam(group).gr_gid
    except KeyError:
        raise InvalidInput(f"no group {printable(group or '', 60)!r} on this machine") from None
    mode = 0o1777 if group is None else 0o3770
    leases = os.path.join(PROVISIONED, "leases")
    lock = os.path.join(PROVISIONED, "acquire.lock")
    lock_mode = 0o666 if group is None else 0o660
    try:
        os.makedirs(PROVISIONED, mode=0o755, exist_ok=True)
        os.chown(PROVISIONED, 0, 0)
        os.chmod(PROVISIONED, 0o755)
        os.makedirs(leases, mode=0o700, exist_ok=True)
        os.chown(leases, 0, number)
        os.chmod(leases, mode)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        os.fchown(descriptor, 0, number)
        os.fchmod(descriptor, lock_mode)
        os.close(descriptor)
        fragment = _fragment(group or "root", mode, lock_mode)
        if os.path.isdir(os.path.dirname(_TMPFILES)):
            with open(_TMPFILES, "w", encoding="ascii") as file:
                file.write(fragment)
            print(f"wrote {_TMPFILES}")
    except OSError as error:
        raise StateError(f"cannot provision {error.filename}: {error.strerror}") from None
    print(f"leases live in {leases}" + (f", for group {group}" if group else ", for everybody"))


def _fragment(group: str, mode: int, lock_mode: int) -> str:
    """systemd-tmpfiles makes these again where /var is emptied at boot, and never ages them."""
    return (
        "# written by: genvx admin provision\n"
        f"d {PROVISIONED} 0755 root root -\n"
        f"d {PROVISIONED}/leases {mode:04o} root {group} -\n"
        f"f {PROVISIONED}/acquire.lock {lock_mode:04o} root {group} -\n"
    )
