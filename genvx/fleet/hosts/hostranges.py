"""Expands ranges in names of hosts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from genvx.core.text import printable

if TYPE_CHECKING:
    from genvx.fleet.hosts.hostline import Line

MOST_HOSTS = 10_000
_LONGEST_NAME = 1024
_RANGE = re.compile(r"\[([0-9,-]+)\]", re.ASCII)


def expand(line: Line, name: str, column: int) -> list[str]:
    """Expand "gpu[03-05,9]" to gpu03, gpu04, gpu05, gpu9; leading zeros are kept."""
    if len(name) > _LONGEST_NAME:
        line.fail(column, f"a name has at most {_LONGEST_NAME} characters, ranges included")
    match = _RANGE.search(name)
    if match is None:
        return [name]
    made: list[str] = []
    for part in match[1].split(","):
        bounds = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", part)
        if bounds is None:
            line.fail(column, f"not a range: {printable(match[0], 40)!r}")
        first, last = bounds[1], bounds[2] or bounds[1]
        # Checked before the numbers are made: [0-999999999] would take all memory.
        if int(last) < int(first) or int(last) - int(first) >= MOST_HOSTS:
            line.fail(column, f"not a range: {printable(match[0], 40)!r}")
        for number in range(int(first), int(last) + 1):
            made.append(str(number).zfill(len(first)))
        if len(made) > MOST_HOSTS:
            line.fail(column, f"more than {MOST_HOSTS} hosts")
    result: list[str] = []
    for number_text in made:
        result += expand(line, name[: match.start()] + number_text + name[match.end() :], column)
        if len(result) > MOST_HOSTS:
            line.fail(column, f"more than {MOST_HOSTS} hosts")
    return result
