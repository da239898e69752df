"""Verbs and groups of verbs: their help, and the options of `genvx remote` after its verbs.

The help is written here, not by typer: typer's changes with its version and names Python types.
"""

from __future__ import annotations

import copy
import inspect
import shutil
import textwrap
from typing import TYPE_CHECKING, Any

import typer.core

if TYPE_CHECKING:
    from collections.abc import Iterator

_WIDEST = 80
_NAMES = 24

# Not accepted after verbs that take GPUs, but answered with a hint (foreign.py): Slurm users mean
# the time of a job by -t, and --host used to select from a hostfile.
_ELSEWHERE = ("--host", "-t")


class Verb(typer.core.TyperCommand):
    """Verb is a command of genvx."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help of the verb."""
        params = self.get_params(ctx)
        formatter.write(_page(self, ctx, params, _usage(params)))


class RemoteVerb(Verb):
    """RemoteVerb is a verb of genvx remote; options of the group may be written after it."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options of the verb, and those of the group that the verb does not have."""
        ours = super().get_params(ctx)
        return [*ours, *_where(ctx, ours)]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help of the verb; the options of the group are only mentioned."""
        ours = super().get_params(ctx)
        formatter.write(_page(self, ctx, ours, _usage(ours)))
        formatter.write(
            "\nHosts: -H A,B or --hostfile FILE, before or after the verb; see\n"
            "genvx remote --help.\n"
        )

    def invoke(self, ctx: Any) -> Any:
        """Run the verb on the hosts that are named before or after it; those after it win."""
        _take_where(ctx, self.params)
        return super().invoke(ctx)


class Group(typer.core.TyperGroup):
    """Group is a number of verbs, listed under headings."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help of the group and a line for each verb."""
        formatter.write(_page(self, ctx, self.get_params(ctx), " [OPTIONS] VERB ..."))
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, command in self.commands.items():
            if not command.hidden:
                section = getattr(command, "rich_help_panel", None)
                title = section if isinstance(section, str) else "Verbs"
                line = inspect.cleandoc(command.help or "").split("\n")[0]
                sections.setdefault(title, []).append((name, line.rstrip(".")))
        for section, rows in sections.items():
            formatter.write(f"\n{section}:\n{''.join(_rows(rows))}")


def scan(command: Any, words: list[str]) -> Iterator[tuple[int, str, Any]]:
    """Yield the options and verbs of a command line: index, word, and click's object or None.

    It ends at `--`, at the first argument of a verb that has a command, or at a verb that does not
    exist.
    """
    params = list(command.params)
    at = 0
    while at < len(words) and words[at] != "--":
        word = words[at]
        if word.startswith("-") and len(word) > 1:
            name = word.partition("=")[0]
            option = next((each for each in params if name in each.opts), None)
            yield at, word, option
            # A value after "=" takes no further word. words[at] is read anew: spell_out_wait puts
            # "--wait=TIME" there.
            if option is not None and name == words[at] and not getattr(option, "is_flag", True):
                at += 1
        elif hasattr(command, "commands"):
            command = command.commands.get(word)
            yield at, word, command
            if command is None:
                return
            # Options of genvx remote may be written after its verbs.
            params += command.params
        elif not command.context_settings.get("allow_interspersed_args", True):
            return
        at += 1


class RemoteGroup(Group):
    """A group of verbs of genvx remote, whose options may stand behind its name, too."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Our options, and those of genvx remote that are not ours."""
        ours = super().get_params(ctx)
        return [*ours, *_where(ctx, ours)]

    def invoke(self, ctx: Any) -> Any:
        """Run a verb on the hosts that are named before us or behind us."""
        _take_where(ctx, self.params)
        return super().invoke(ctx)


def _remote(ctx: Any) -> Any:
    """The context of genvx remote, to which a verb belongs."""
    found = ctx.parent
    while isinstance(found.command, RemoteGroup):
        found = found.parent
    return found


def _take_where(ctx: Any, ours: list[Any]) -> None:
    """Have what is said behind a verb of where to ask count more than what is said before it."""
    remote = _remote(ctx)
    behind = {each.name: ctx.params.pop(each.name) for each in _where(ctx, ours)}
    given = {
        name: value
        for name, value in behind.items()
        if ctx.get_parameter_source(name).name == "COMMANDLINE"
    }
    if given:
        remote.params.update(given)
        remote.command.callback(**remote.params)


def _where(ctx: Any, ours: list[Any]) -> Iterator[Any]:
    """Yield the options of the group that are accepted after a verb with the options `ours`."""
    taken = {name for each in ours for name in each.opts}
    if "--only-host" in taken:
        taken.update(_ELSEWHERE)
    for param in _remote(ctx).command.params:
        names = [name for name in param.opts if name not in taken]
        if names:
            # A copy: the option of the group keeps the names that the verb has taken for itself.
            behind = copy.copy(param)
            behind.opts = names
            yield behind


def _page(command: Any, ctx: Any, params: list[Any], usage: str) -> str:
    """Return the help page: usage, what the verb does, and its options."""
    parts = [f"Usage: {ctx.command_path}{usage}\n"]
    text = inspect.cleandoc(command.help or "")
    # A verb has one text for this machine and for many hosts. Examples that are about many hosts
    # already say "remote".
    if isinstance(command, RemoteVerb):
        text = text.replace("Example: genvx ", "Example: genvx remote ").replace(
            " remote remote", " remote"
        )
    for paragraph in text.split("\n\n"):
        parts.append("\n" + textwrap.fill(" ".join(paragraph.split()), _width()) + "\n")
    shown = [param for param in params if not getattr(param, "hidden", False)]
    for title, kind in (("Arguments", "argument"), ("Options", "option")):
        rows = [_described(param) for param in shown if param.param_type_name == kind]
        if rows:
            parts.append(f"\n{title}:\n{''.join(_rows(rows))}")
    return "".join(parts)


def _usage(params: list[Any]) -> str:
    words = [" [OPTIONS]"]
    for param in params:
        if param.param_type_name == "argument" and not getattr(param, "hidden", False):
            name = _metavar(param)
            optional = not param.required and "..." not in name
            words.append(f" [{name}]" if optional else f" {name}")
    return "".join(words)


def _metavar(param: Any) -> str:
    name = param.metavar or param.name.upper()
    return f"{name}..." if param.nargs == -1 and "..." not in name else name


def _described(param: Any) -> tuple[str, str]:
    """Return the names of an option or argument, and its help."""
    text = param.help or ""
    if param.param_type_name == "argument":
        return _metavar(param).strip("[]"), text
    names = ", ".join(sorted(param.opts, key=len))
    if param.metavar:
        names += f"{'' if param.metavar.startswith('[') else ' '}{param.metavar}"
    default = param.default
    shows = param.show_default and default and not isinstance(default, bool)
    if shows and isinstance(default, str | int | float):
        text += f" Default: {default:g}." if isinstance(default, float) else f" Default: {default}."
    return names, text


def _rows(rows: list[tuple[str, str]]) -> Iterator[str]:
    column = min(_NAMES, max(len(name) for name, _ in rows)) + 4
    for name, text in rows:
        lines = textwrap.wrap(text, max(20, _width() - column)) or [""]
        if len(name) > column - 4:
            yield f"  {name}\n"
            name = ""
        yield f"  {name:<{column - 2}}{lines[0]}".rstrip() + "\n"
        for line in lines[1:]:
            yield " " * column + line + "\n"


def _width() -> int:
    return max(40, min(_WIDEST, shutil.get_terminal_size().columns) - 1)
