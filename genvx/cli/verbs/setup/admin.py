"""genvx admin: set up a machine, once, as root."""

from __future__ import annotations

import grp
import os
import shlex
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from genvx.cli.ask import options
from genvx.cli.commands import Verb
from genvx.core.text import printable
from genvx.errors import InvalidInput, StateError
from genvx.local import provisioning

if TYPE_CHECKING:
    from genvx.local.provisioning import Places

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
    provision_in(provisioning.usual(), group, force=force)


def provision_in(places: Places, group: str | None = None, *, force: bool = False) -> None:
    """What `provision` does, for a machine whose directories may be elsewhere than usual."""
    if os.geteuid() != 0:
        raise InvalidInput(f"only root can provision a machine: sudo {_program()} admin provision")
    try:
        number = -1 if group is None else grp.getgrnam(group).gr_gid
    except KeyError:
        raise InvalidInput(f"no group {printable(group or '', 60)!r} on this machine") from None
    held = provisioning.held_before(places)
    if held and not force and not os.path.isdir(places.provisioned):
        raise StateError(
            f"GPUs of this machine are in use: {_some(held)}; wait until they are released, or add "
            f"--force: they stay held, and {places.unprovisioned} is read as well until you "
            "provision again"
        )
    done = provisioning.provision(places, group or "", number)
    if done.fragment:
        print(f"wrote {done.fragment}")
    print(
        f"leases live in {done.leases}" + (f", for group {group}" if group else ", for everybody")
    )
    if done.held:
        print(
            f"what is held in {places.unprovisioned} stays held: {_some(done.held)}; provision "
            "again when it has ended"
        )


def _program() -> str:
    """How root starts this program: sudo does not look where its user has installed it."""
    started = os.path.abspath(sys.argv[0])
    return shlex.quote(started) if os.path.basename(started) == "genvx" else "genvx"


def _some(items: tuple[str, ...]) -> str:
    more = f", and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return printable(", ".join(items[:_SHOWN]), 300) + more
