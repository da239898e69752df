"""Verbs and groups of verbs: their help, and the options of `genvx remote` behind its verbs.

The help is written here and not by typer, whose text changes with its version and names types of
Python.
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

# Not accepted behind verbs that take GPUs, but answered with a hint (foreign.py): people from Slurm
# mean the time of a job by -t, and --host once chose among the hosts of a hostfile.
_ELSEWHERE = ("--host", "-t")


class Verb(typer.core.TyperCommand):
    """A verb of genvx."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        params = self.get_params(ctx)
        formatter.write(_page(self, ctx, params, _usage(params)))


class RemoteVerb(Verb):
    """A verb of genvx remote. The options of its group, which say where, may stand behind it."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Our options, and those of the group that are not ours or meant otherwise here."""
        ours = super().get_params(ctx)
        return [*ours, *_where(ctx, ours)]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        ours = super().get_params(ctx)
        formatter.write(_page(self, ctx, ours, _usage(ours)))
        formatter.write(
            "\nWhich hosts: -H A,B or --hostfile FILE, before the verb or behind it; see\n"
            "genvx remote --help.\n"
        )

    def invoke(self, ctx: Any) -> Any:
        """Run the verb on the hosts that are named before it or behind it; behind counts more."""
        _take_where(ctx, self.params)
        return super().invoke(ctx)


class Group(typer.core.TyperGroup):
    """A group of verbs, listed by what they are for."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
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
    """The options and verbs of a command line, each with its place and what it is, None for what
    genvx does not have; up to `--`, to what a verb is given, or to a verb that is none.
    """
    params = list(command.params)
    at = 0
    while at < len(words) and words[at] != "--":
        word = words[at]
        if word.startswith("-") and len(word) > 1:
            name = word.partition("=")[0]
            option = next((each for each in params if name in each.opts), None)
            yield at, word, option
            if option is not None and name == words[at] and not getattr(option, "is_flag", True):
                at += 1
        elif hasattr(command, "commands"):
            command = command.commands.get(word)
            yield at, word, command
            if command is None:
                return
            # Those of genvx remote may stand behind its verbs.
            params += command.params
        else:
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
    """The options of the group that are accepted behind a verb with these options of its own."""
    taken = {name for each in ours for name in each.opts}
    if "--only-host" in taken:
        taken.update(_ELSEWHERE)
    for param in _remote(ctx).command.params:
        names = [name for name in param.opts if name not in taken]
        if names:
            behind = copy.copy(param)
            behind.opts = names
            yield behind


def _page(command: Any, ctx: Any, params: list[Any], usage: str) -> str:
    """Usage, what the verb does, and its options."""
    parts = [f"Usage: {ctx.command_path}{usage}\n"]
    text = inspect.cleandoc(command.help or "")
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
    """The names of an option or argument, and what it is for."""
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
