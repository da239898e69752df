"""The text of help pages.

It is written here, not by typer: typer's changes with its version and names Python types.
"""

from __future__ import annotations

import os
import sys
import textwrap
from typing import TYPE_CHECKING

from genvx.cli.parse.declaring import Argument, Option

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from genvx.cli.parse.declaring import Parameter

_WIDEST = 80
_NAMES = 24


def page(path: str, text: str, params: Iterable[Parameter], usage: str) -> str:
    """Return the help page of a command: usage, what it does, and its options."""
    parts = [f"Usage: {path}{usage}\n"]
    for paragraph in text.split("\n\n"):
        parts.append(f"\n{filled(paragraph)}\n")
    shown = [param for param in params if not param.info.hidden]
    for title, kind in (("Arguments", Argument), ("Options", Option)):
        rows = [_described(param) for param in shown if isinstance(param.info, kind)]
        if rows:
            parts.append(f"\n{title}:\n{''.join(_rows(rows))}")
    return "".join(parts)


def usage_of(params: Iterable[Parameter]) -> str:
    """Return the line of usage of a verb with these parameters, after its name."""
    words = [" [OPTIONS]"]
    for param in params:
        if isinstance(param.info, Argument) and not param.info.hidden:
            name = _metavar(param)
            optional = not param.required and "..." not in name
            words.append(f" [{name}]" if optional else f" {name}")
    return "".join(words)


def sections(listed: Iterable[tuple[str, str, str]]) -> str:
    """Return verbs under headings. listed: heading, name and line of help of each."""
    found: dict[str, list[tuple[str, str]]] = {}
    for section, name, line in listed:
        found.setdefault(section, []).append((name, line))
    return "".join(f"\n{section}:\n{''.join(_rows(rows))}" for section, rows in found.items())


def names(listed: Iterable[tuple[str, str, str]]) -> str:
    """Return the names of verbs under headings, without what they do."""
    found: dict[str, list[str]] = {}
    for section, name, _ in listed:
        found.setdefault(section, []).append(name)
    rows = [(f"{section}:", ", ".join(each)) for section, each in found.items()]
    return "".join(_rows(rows))


def explained(param: Parameter) -> str:
    """Return the help of an option or argument, with its default."""
    default = param.default
    shows = param.info.show_default and default and not isinstance(default, bool)
    if not shows or not isinstance(default, str | int | float):
        return param.help
    shown = f"{default:g}" if isinstance(default, float) else default
    return f"{param.help.rstrip('.')} (default: {shown})."


def _metavar(param: Parameter) -> str:
    name = param.info.metavar or param.name.upper()
    return f"{name}..." if param.several and "..." not in name else name


def _described(param: Parameter) -> tuple[str, str]:
    """Return the names of an option or argument, and its help."""
    if isinstance(param.info, Argument):
        return _metavar(param).strip("[]"), param.help
    names, metavar = ", ".join(sorted(param.opts, key=len)), param.info.metavar
    if metavar:
        names += f"{'' if metavar.startswith('[') else ' '}{metavar}"
    return names, explained(param)


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
    return max(40, min(_WIDEST, _columns()) - 1)


def _columns() -> int:
    """As shutil.get_terminal_size has it, whose module loads what packs archives."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns)
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or _WIDEST
    except (OSError, ValueError):
        return _WIDEST


def filled(paragraph: str) -> str:
    """Return a paragraph of help in lines that fit."""
    return textwrap.fill(" ".join(paragraph.split()), _width(), break_on_hyphens=False)
