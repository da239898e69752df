"""genvx ssh: a shell or a command inside of a live run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from genvx.cli.ask.requested import patience_of
from genvx.cli.ask.runs import Node, OneRun, WaitForStart, located_parts, part_of
from genvx.cli.ask.where import here
from genvx.cli.parse.declaring import Argument, Context, Exit, Option
from genvx.core.text import printable
from genvx.core.value import replace
from genvx.errors import InvalidInput, UnknownRun

if TYPE_CHECKING:
    from genvx.cli.ask.where import Where
    from genvx.fleet.fleet import Fleet

Command = Annotated[
    list[str] | None,
    Argument(metavar="[-- CMD...]", help="Command to run (default: a shell).", show_default=False),
]
Line = Annotated[
    bool,
    Option(
        "--print", help="Remote: print an ssh command that does the same without genvx, and end."
    ),
]
Quiet = Annotated[bool, Option("-q", "--quiet", help="Do not say what is entered.")]


def ssh(
    context: Context,
    run: OneRun = "",
    command: Command = None,
    wait: WaitForStart = None,
    node: Node = None,
    line: Line = False,
    quiet: Quiet = False,
) -> None:
    """Open a shell inside of a live run, or run a command there.

    It starts in the run's directory, with its variables and GPUs. Several people can be
    inside at once. When the run ends, they read that on their terminals, and end after its grace. A
    run that is held (--hold) can be entered, too.

    Example: genvx ssh 1 -- nvidia-smi
    """
    where = here(context)
    where = replace(where, quiet=where.quiet or quiet)
    if command is not None and not command:
        raise InvalidInput("no command after --; without -- a shell is opened")
    if line and wait is not None:
        raise InvalidInput("give either --print or --wait: --print waits for nothing")
    patience = patience_of(wait)
    with where.fleet() as fleet:
        try:
            if line:
                print(_line(where, fleet, run, node, command or []))
                return
            from genvx.cli.holds.inside import enter_run

            code = enter_run(where, fleet, run, command, node=node, patience=patience)
        except UnknownRun as error:
            raise UnknownRun(f"{error}{_if_host(where, fleet, run)}") from None
    raise Exit(code)


def _line(where: Where, fleet: Fleet, wanted: str, node: int | None, command: list[str]) -> str:
    from genvx.cli.holds.inside import require
    from genvx.fleet.detaching.plainline import plain_line

    host: Any
    host, found = part_of(located_parts(where, fleet, wanted), node)
    if not where.remote:
        raise InvalidInput(f"--print is for runs on other hosts; here: genvx ssh {found.id}")
    # Of a run that waits nothing is there to enter, and it may move.
    require(where, found)
    return plain_line(host, found, command)


def _if_host(where: Where, fleet: Fleet, word: str) -> str:
    """Return what to type for a host, if the word names one; empty otherwise."""
    name = word.rpartition("@")[2]
    if not name or name.isdecimal() or not name.isprintable():
        return ""
    hosts = [host.name for host in fleet.hosts] if where.remote else [name]
    # Of this machine we know no other hosts; what is no id may be one.
    if name not in hosts:
        return ""
    return f"; genvx remote -H {printable(word, 60)} activate opens a shell on a host"
