"""genvx admin: set up a machine once, as root; and free what genvx keeps on hosts."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

from genvx.cli.ask.where import here
from genvx.cli.parse.declaring import Context, Exit, Group, Option
from genvx.core.text import printable
from genvx.errors import InvalidInput, StateError

if TYPE_CHECKING:
    from genvx.local.provisioning import Places

_SHOWN = 3

ToGroup = Annotated[
    str | None,
    Option("--group", metavar="GROUP", help="Group to admit (default: everybody)."),
]
Force = Annotated[bool, Option("--force", help="Proceed while GPUs are held; they stay held.")]

Everything = Annotated[
    bool, Option("--all", help="Also what was used in the last 30 days, if nothing uses it.")
]
DryRun = Annotated[bool, Option("-n", "--dry-run", help="Only say what would go.")]
WithMonitor = Annotated[
    bool, Option("--monitor", help="Also write a systemd unit for genvx monitor.")
]
WithEnforcer = Annotated[
    bool, Option("--enforce", help="Also write a systemd unit for genvx enforce.")
]
# Not shown in the help: it is only answered.
Fence = Annotated[bool, Option("--fence", hidden=True)]
_NO_FENCE = (
    "environments cannot be fenced off: only root's systemd filters devices, and what it closes "
    "for a user is hidden from their genvx, too, which must see all GPUs to choose one "
    "(docs/how-to/keep-people-honest.md); genvx enforce ends what uses GPUs without a lease"
)
OnlyPrint = Annotated[bool, Option("-n", "--dry-run", help="Only print what would be written.")]


admin = Group("Set up a machine, and free what is not used.")


# For root there.
@admin.command(remotely=False)
def provision(
    to: ToGroup = None,
    force: Force = False,
    monitor: WithMonitor = False,
    enforce: WithEnforcer = False,
    fence: Fence = False,
    dry_run: OnlyPrint = False,
) -> None:
    """Make the shared directory for leases, and again at each boot. Needs root.

    The directory belongs to root, not to the first user who takes a GPU. The command is refused
    while GPUs are held that were taken without it.

    Example: sudo genvx admin provision
    """
    if fence:
        raise InvalidInput(_NO_FENCE)
    from genvx.local import provisioning

    places = provisioning.usual()
    if dry_run:
        plan(places, to, monitor=monitor, enforce=enforce)
        return
    provision_in(places, to, force=force, monitor=monitor, enforce=enforce)


@admin.command()
def clean(context: Context, everything: Everything = False, dry_run: DryRun = False) -> None:
    """Delete code and Python environments of yours on the hosts that no run has used for 30 days.

    A run has a copy of its code, which stays. What is deleted is sent, or made, again when a run
    needs it.

    Example: genvx admin clean --dry-run
    """
    from genvx.cli.views.clean import show

    where = here(context)
    with where.fleet() as fleet:
        raise Exit(show(where, fleet, everything=everything, only_say=dry_run))


def plan(places: Places, to: str | None, *, monitor: bool = False, enforce: bool = False) -> None:
    """Print what would be made, as the files themselves where these are short."""
    from genvx.local import provisioning

    if to is not None:
        _number_of(to)
    print(f"# leases: {places.provisioned}/leases" + (f", for group {to}" if to else ""))
    files = provisioning.planned(places, to or "")
    for name, text in _units(monitor=monitor, enforce=enforce):
        files += ((provisioning.unit_path(places, name), text),)
    for path, text in files:
        print(f"\n# {path}\n{text}", end="")


def _units(*, monitor: bool, enforce: bool) -> list[tuple[str, str]]:
    """The names and texts of the units that are asked for."""
    from genvx.cli.lasting.monitoring import program
    from genvx.watching.units import ENFORCING_UNIT, UNIT, enforcing_unit, system_unit

    found = [(UNIT, system_unit(program()))] if monitor else []
    return found + ([(ENFORCING_UNIT, enforcing_unit(program()))] if enforce else [])


def _number_of(group: str) -> int:
    import grp

    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise InvalidInput(f"no group {printable(group, 60)!r} on this machine") from None


def provision_in(
    places: Places,
    group: str | None = None,
    *,
    force: bool = False,
    monitor: bool = False,
    enforce: bool = False,
) -> None:
    """What `provision` does, for a machine whose directories may be elsewhere than usual."""
    from genvx.local import provisioning

    if os.geteuid() != 0:
        raise InvalidInput(f"only root can provision a machine: sudo {_program()} admin provision")
    number = -1 if group is None else _number_of(group)
    units = _units(monitor=monitor, enforce=enforce)
    for name, _ in units:
        provisioning.unit_path(places, name)
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
    for name, text in units:
        print(f"wrote {provisioning.install_unit(places, name, text)}")
    if units:
        names = " ".join(name for name, _ in units)
        print(f"start it: systemctl daemon-reload && systemctl enable --now {names}")
    if enforce and not provisioning.has_rules(places):
        print(
            f"{places.provisioned}/policy.toml has no [enforce] yet, so genvx enforce has nothing "
            "to do; write it first, and see what it would do: genvx enforce --once --dry-run"
        )


def _program() -> str:
    """How root starts this program: sudo does not look where its user has installed it."""
    import shlex

    started = os.path.abspath(sys.argv[0])
    return shlex.quote(started) if os.path.basename(started) == "genvx" else "genvx"


def _some(items: tuple[str, ...]) -> str:
    more = f", and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return printable(", ".join(items[:_SHOWN]), 300) + more
