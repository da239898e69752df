"""Parameters of a trial, and how they become words of its command.

A command has {name} where the value of a parameter belongs, and {{ and }} for literal braces.
Values are put in as text; nothing is evaluated.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from genvx.core.text import printable
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Parameters = Mapping[str, Any]

# A brace that is doubled, a name in braces, a brace that is neither, or anything else.
_PIECE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+")
# What no shell reads as more than itself, in no place of a line.
_PLAIN = re.compile(r"[A-Za-z0-9_@%+:,./-][A-Za-z0-9_@%+=:,./-]*", re.ASCII)
_SHELL = re.compile(r"(?:ba|da|z|k|mk|a)?sh")
_SCRIPT = re.compile(r"-[A-Za-z]*c")
# Where these are, whether a place of a line is quoted cannot be told without a whole shell.
_INTRICATE = re.compile(r"`|<<|#|\$['\"({]|\(\(")


def text_of(found: Any) -> str:
    """Return the text of a value in a command: a text as it is, all else as JSON."""
    if isinstance(found, str):
        return found
    return json.dumps(found, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def fill(command: Sequence[str], parameters: Parameters) -> list[str]:
    """Return a command with the values of parameters in it.

    In the script of `sh -c` and the like, values are quoted for the shell.

    Raises:
        InvalidInput: it names a parameter that there is not, has a brace that is not closed, or a
        value cannot be quoted where it belongs.
    """
    script = _script_of(command)
    return [
        fill_line(word, parameters) if at == script else _filled(word, parameters)
        for at, word in enumerate(command)
    ]


def fill_line(line: str, parameters: Parameters) -> str:
    """Return a line for a shell with the values of parameters in it, quoted where they have to be.

    Raises:
        InvalidInput: as `fill`.
    """
    literal = "".join(text for text, is_name in _pieces(line) if not is_name)
    intricate = _INTRICATE.search(literal) is not None
    made: list[str] = []
    quote = ""
    for text, is_name in _pieces(line):
        if not is_name:
            quote = _quote_after(text, quote)
            made.append(text)
            continue
        found = text_of(_value(text, parameters))
        if not _PLAIN.fullmatch(found):
            if quote or intricate:
                where = "without quotes around it" if quote else "in a simple command"
                raise InvalidInput(
                    f"{text}={printable(found, 60)} has to be quoted, which genvx does itself: "
                    f"write {{{text}}} {where}, or read it from $GENVX_PARAMETERS"
                )
            found = shlex.quote(found)
        made.append(found)
    return "".join(made)


def literally(line: str) -> str:
    """Return a line with its braces doubled, so that filling it changes nothing."""
    return line.replace("{", "{{").replace("}", "}}")


def named_in(command: Iterable[str]) -> tuple[str, ...]:
    """Return the parameters that a command names, each once, in their order.

    Raises:
        InvalidInput: it has a brace that is not closed.
    """
    return tuple(
        dict.fromkeys(text for word in command for text, is_name in _pieces(word) if is_name)
    )


def require_used(command: Sequence[str], names: Iterable[str]) -> None:
    """Check, before anything runs, that a command and the names of a space fit each other.

    A command that names no parameter is fine: it reads $GENVX_PARAMETERS.

    Raises:
        InvalidInput: it names a parameter that there is not, or some of those that there are but
        not all.
    """
    known = tuple(names)
    named = named_in(command)
    for name in named:
        if name not in known:
            raise _unknown(name, known)
    unused = [name for name in known if name not in named]
    if named and unused:
        raise InvalidInput(
            f"the command does not use {', '.join(unused[:5])}; write {{{unused[0]}}} where the "
            "value belongs, or name no parameter and read them all from $GENVX_PARAMETERS"
        )


def _script_of(command: Sequence[str]) -> int:
    """Return which word is the script of a shell, also behind env; -1 if there is none."""
    for at, word in enumerate(command):
        if not _SHELL.fullmatch(os.path.basename(word)):
            continue
        after = at + 1
        while after < len(command) and command[after][:1] in ("-", "+"):
            if _SCRIPT.fullmatch(command[after]):
                return after + 1
            # -o and -O take the name of an option with them: bash -o pipefail -c
            after += 2 if command[after][1:] in ("o", "O") else 1
    return -1


def _filled(word: str, parameters: Parameters) -> str:
    return "".join(
        text_of(_value(text, parameters)) if is_name else text for text, is_name in _pieces(word)
    )


def _pieces(word: str) -> Iterator[tuple[str, bool]]:
    """Yield the pieces of a word, each with whether it is the name of a parameter."""
    for match in _PIECE.finditer(word):
        if match[1] is not None:
            yield match[1], True
        elif match[0] in ("{{", "}}"):
            yield match[0][0], False
        elif match[0] in ("{", "}"):
            raise InvalidInput(
                f"a brace has no partner in {printable(word, 60)!r}; write {match[0] * 2} for a "
                "literal one"
            )
        else:
            yield match[0], False


def _value(name: str, parameters: Parameters) -> Any:
    if name not in parameters:
        raise _unknown(name, tuple(parameters))
    return parameters[name]


def _unknown(name: str, known: Sequence[str]) -> InvalidInput:
    near = difflib.get_close_matches(name, known, 1, 0.5)
    if near:
        advice = f"did you mean {{{near[0]}}}?"
    elif known:
        advice = f"parameters are {', '.join(known[:8])}; write {{{{ and }}}} for literal braces"
    else:
        advice = "there are no parameters; write {{ and }} for literal braces"
    return InvalidInput(f"{{{printable(name, 60)}}} in the command is no parameter; {advice}")


def _quote_after(text: str, quote: str) -> str:
    """Return which quote is open after a text of a line: one of ' and ", or none."""
    escaped = False
    for each in text:
        if escaped:
            escaped = False
        elif each == "\\" and quote != "'":
            escaped = True
        elif quote:
            quote = "" if each == quote else quote
        elif each in "'\"":
            quote = each
    return quote


__all__ = [
    "Parameters",
    "fill",
    "fill_line",
    "literally",
    "named_in",
    "require_used",
    "text_of",
]
