"""genvx admin: what root does once on a machine."""

from __future__ import annotations

import grp
import os
from typing import Annotated

import typer

from genvx.cli.ask import options
from genvx.cli.commands import Verb
from genvx.core.text import printable
from genvx.errors import InvalidInput, StateError
from genvx.local import provisioning

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
    if os.geteuid() != 0:
        raise InvalidInput("only root can provision a machine: sudo genvx admin provision")
    try:
        number = -1 if group is None else grp.getgrnam(group).gr_gid
    except KeyError:
        raise InvalidInput(f"no group {printable(group or '', 60)!r} on this machine") from None
    held = provisioning.held_before()
    former = provisioning.former_place()
    if held and not force and not provisioning.is_provisioned():
        raise StateError(
            f"GPUs of this machine are in use: {_some(held)}; wait for their end, or add --force: "
            f"they stay held, and {former} is looked at, too, until you provision again"
        )
    done = provisioning.provision(group or "", number)
    if done.fragment:
        print(f"wrote {done.fragment}")
    print(
        f"leases live in {done.leases}" + (f", for group {group}" if group else ", for everybody")
    )
    if done.held:
        print(
            f"what is held in {former} stays held: {_some(done.held)}; provision again when it has "
            "ended"
        )


def _some(items: tuple[str, ...]) -> str:
    more = f", and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return printable(", ".join(items[:_SHOWN]), 300) + more
