"""--remote NAME: a verb on the hosts of a remote, as genvx remote has it.

It may be written before a verb or after it. Such a command line is one of genvx remote, and becomes
that before it is parsed, so that the verb has its options for many hosts.
"""

from __future__ import annotations

import copy
import functools
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genvx.cli.parse.groups import bare
from genvx.cli.parse.scan import scan
from genvx.core.text import printable
from genvx.errors import GenvxError, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMES = ("-r", "--remote")


def names(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
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


Remote = Annotated[
    str | None,
    typer.Option(
        *_NAMES,
        metavar="NAME",
        help="Hosts by name (genvx remotes), or ssh:USER@HOST:PORT.",
        autocompletion=names,
    ),
]


def on_remote(command: Any, words: list[str]) -> list[str]:
    """Return the command line, as one of genvx remote if it names a remote.

    command: the click command of genvx.
    """
    # Most command lines have no such word, and no module is loaded for them.
    if words[:1] == ["remote"] or not any(map(_may_name_one, words)):
        return words
    far = ["remote", *words]
    for _, _, option in scan(command, far):
        if "--remote" in getattr(option, "opts", ()):
            return far
    return words


def _may_name_one(word: str) -> bool:
    return word.partition("=")[0] == "--remote" or (
        word.startswith("-") and not word.startswith("--") and "r" in word
    )


def give(command: Any) -> None:
    """Give a verb of this machine, or a group of such verbs, the option; help and Tab show it."""
    for each in _with_verbs(command):
        taken = {name for param in each.params for name in param.opts}
        # A copy: the verb may have taken one of the names.
        option = copy.copy(_option())
        option.opts = [name for name in option.opts if name not in taken]
        each.params.append(option)


def _with_verbs(command: Any) -> Iterator[Any]:
    yield command
    for each in getattr(command, "commands", {}).values():
        yield from _with_verbs(each)


@functools.cache
def _option() -> Any:
    made = bare()

    @made.command()
    def verb(named: Remote = None) -> None:
        """Has the option."""

    command: Any = typer.main.get_command(made)
    (option,) = (param for param in command.params if param.name == "named")
    option.expose_value = False
    option.callback = _refuse
    return option


def _refuse(context: Any, param: Any, value: str | None) -> None:
    # `on_remote` takes the option out of every command line in which it finds it. Here it was not
    # found, and the verb would act on this machine.
    if value is not None:
        raise InvalidInput("write --remote NAME before the verb")
