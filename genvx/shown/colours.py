"""Colours for words that say how something is; on a terminal only, and never with NO_COLOR.

The word is always there as well, so nothing is said by colour alone.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

# Of the sixteen that every terminal has, and that people set up to be readable on their background.
GREEN, YELLOW, RED, CYAN = "32", "33", "31", "36"
# Of devices, runs, trials, sweeps and findings.
_COLOURS = {
    **dict.fromkeys(("free", "completed", "done", "ok", "best"), GREEN),
    **dict.fromkeys(("leased", "shared", "running", "preparing", "held"), CYAN),
    **dict.fromkeys(("busy", "unknown", "waiting", "stopped", "warning"), YELLOW),
    **dict.fromkeys(("lost", "unhealthy", "failed", "error", "down"), RED),
}
_PAINT = re.compile(r"\x1b\[[0-9;]*m")


def takes_colours(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a stream is a terminal whose user wants colours (https://no-color.org)."""
    if environ.get("NO_COLOR") or environ.get("TERM", "dumb") == "dumb":
        return False
    return stream.isatty()


def colour_of(text: str) -> str:
    """Return the number of the colour of a text that begins with such a word; empty if it has
    none.
    """
    word = re.match(r"[a-z]+", text)
    return "" if word is None else _COLOURS.get(word[0], "")


def coloured(shown: str, text: str) -> str:
    """Return what is shown of a text in the colour of the whole text."""
    colour = colour_of(text)
    return f"\x1b[{colour}m{shown}\x1b[0m" if colour and shown else shown


def plain(line: str) -> str:
    """Return a line without the colours that it has from here."""
    return _PAINT.sub("", line) if "\x1b" in line else line


def cut(line: str, most: int) -> str:
    """Return a line in at most `most` cells, with its colours as far as it fits."""
    from genvx.shown.cells import ELLIPSIS, shortened, width

    if width(plain(line)) <= most:
        return line
    if "\x1b" not in line:
        return shortened(line, most)
    left, parts = most - width(ELLIPSIS), []
    for at, part in enumerate(re.split(r"(\x1b\[[0-9;]*m)", line)):
        if at % 2:
            parts.append(part)
            continue
        size = width(part)
        if size > left:
            parts += [shortened(part, left + width(ELLIPSIS)), "\x1b[0m"]
            break
        parts.append(part)
        left -= size
    return "".join(parts)
