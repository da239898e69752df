"""genvx ssh-config: entries with which ssh, scp, sftp and editors connect into a run or an
environment.

The ProxyCommand of an entry is a connection of genvx, which holds the environment. At its far end
an sshd of the user's own serves this one connection, inside of the run or with the variables of the
environment. So every program that uses SSH works, and nothing is installed or opened on the host.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

from genvx.cli.ask import candidates
from genvx.cli.ask.runs import Node
from genvx.cli.ask.where import here
from genvx.cli.parse.declaring import Argument, Context, Option
from genvx.core.text import printable
from genvx.core.value import replace
from genvx.errors import FleetError, GenvxError, HostError, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Collection

    from genvx.cli.ask.where import Where
    from genvx.cli.entries.target import Goal

Target = Annotated[
    str,
    Argument(
        metavar="HOST|ENV|RUN",
        help="A host, for your only environment there; or an environment, by its id or name; or a "
        "run, by its id, the beginning of it, its name, or a number: 1 is the latest. "
        "A host comes before an environment, and an environment before a run.",
        autocompletion=candidates.hosts,
        show_default=False,
    ),
]
Write = Annotated[
    bool,
    Option("--write", help="Write it to a file that ~/.ssh/config includes."),
]
Remove = Annotated[bool, Option("--remove", help="Remove it from that file.")]

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}", re.ASCII)


def ssh_config(
    context: Context,
    target: Target,
    node: Node = None,
    write: Write = False,
    remove: Remove = False,
) -> None:
    """Print an ssh entry that leads into a run or an environment.

    With it in ~/.ssh/config, ssh, scp, sftp, rsync and editors connect into it. In a run they have
    its directory, its variables and its GPUs; in an environment its GPUs. An environment lasts
    while somebody is connected.

    Example: genvx remote ssh-config train --write
    """
    from genvx.cli.entries import files
    from genvx.cli.entries.entry import entry as entry_for
    from genvx.cli.entries.target import far, find

    where = far(here(context))
    if remove:
        _remove(replace(where, quiet=True), target, node)
        return
    with where.remote_fleet() as fleet:
        goal = find(where, fleet, target, node)
        if goal.run is not None:
            _check(where, goal)
        try:
            user = goal.host.entitlement().user
        except HostError as error:
            raise FleetError(f"{goal.host.name}: {error}") from None
        names = _names(goal, {each.name for each in fleet.hosts})
    entry = entry_for(where, names, goal, user)
    if not write:
        print(entry, end="")
        return
    # ssh takes the first entry that matches, so older ones with these names must go.
    files.keep(names, entry)
    files.include()
    print(f"ssh {names[-1]}")


def _check(where: Where, goal: Goal) -> None:
    """Refuse a run that is over; say of one that cannot be entered yet why not."""
    from genvx.core.runs.entry import require_entry
    from genvx.core.runs.runstate import is_over

    assert goal.run is not None
    try:
        require_entry(goal.run)
    except InvalidInput as error:
        if is_over(goal.run.state):
            raise
        where.note(f"{error}; the entry leads into it once it has started")


def _names(goal: Goal, hosts: Collection[str]) -> list[str]:
    """The names of an entry; the last is the one for people."""
    from genvx.cli.entries.entry import node_suffix

    if goal.run is not None:
        suffix = node_suffix(goal)
        identifier, name = goal.run.id, goal.run.label or goal.run.spec.name
    elif goal.environment is not None:
        suffix, identifier, name = "", goal.environment.id, goal.environment.name
    else:
        return [f"genvx-{goal.host.name}"]
    names = [f"genvx-{identifier}{suffix}"]
    # A name that people have made up may be a pattern of ssh_config, or stand in for a host.
    if _SAFE.fullmatch(name) and name not in hosts:
        names.append(f"genvx-{name}{suffix}")
    return names


def _remove(where: Where, target: str, node: int | None) -> None:
    """Remove an entry: by what it is called, which asks no host, or else by what is meant."""
    from genvx.cli.entries import files
    from genvx.cli.entries.target import find

    suffix = f"-{node}" if node else ""
    shown = printable(target, 60)
    names = [f"genvx-{target}{suffix}", f"{target}{suffix}"]
    if not files.keep(names):
        try:
            with where.remote_fleet() as fleet:
                names = _names(find(where, fleet, target, node), ())[:1]
        except GenvxError:
            names = []
        if not files.keep(names):
            raise InvalidInput(f"{files.file()} has no entry {shown!r}")
    print(f"Removed {shown} from {files.file()}")
