"""--remote NAME: a verb on the hosts of a remote, as genvx remote has it.

It may be written before a verb or after it. Such a command line is one of genvx remote, and becomes
that before it is parsed (`on_remote`, in `scan.py`), so the verb has its options for many hosts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from genvx.cli.parse.declaring import Option, Parameter
from genvx.core.text import printable
from genvx.errors import GenvxError, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable

# Not accepted after verbs that take GPUs, but answered with a hint (words/options.py): Slurm users
# mean the time of a job by -t, and --host used to select from a hostfile.
_ELSEWHERE = ("--host", "-t")
_NAMES = ("-r", "--remote")
_HELP = "Hosts by name (genvx remotes), or ssh:USER@HOST:PORT."


def names(context: Any, incomplete: str) -> list[tuple[str, str]]:
    """Offer the names of remotes to the Tab key; none on any error."""
    # Imported here: YAML is read only where somebody asks for names.
    from genvx.fleet.remotes.reading import load

    try:
        known = load().remotes.values()
    except GenvxError:
        return []
    return [
        (each.name, printable(each.description or each.where, 60))
        for each in known
        if each.name.startswith(incomplete)
    ]


def _refuse(given: str) -> None:
    # `on_remote` takes the option out of every command line in which it finds it. Here it was not
    # found, and the verb would act on this machine.
    raise InvalidInput("write --remote NAME before the verb")


Remote = Annotated[str | None, Option(*_NAMES, metavar="NAME", help=_HELP, autocompletion=names)]
# What verbs of this machine have besides their own, so that help and Tab show it.
ADDED = (
    Parameter(
        "named",
        str | None,
        Option(*_NAMES, metavar="NAME", help=_HELP, autocompletion=names, check=_refuse),
        _NAMES,
        _HELP,
        passed=False,
    ),
)


def not_behind(names: Iterable[str]) -> set[str]:
    """Return the names that options of genvx remote do not have behind a verb with these options
    of its own.
    """
    taken = set(names)
    return taken.union(_ELSEWHERE) if "--only-host" in taken else taken
