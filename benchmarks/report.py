"""Tables, printed and written into pages of the docs between their marks."""

from __future__ import annotations

import datetime
import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Table:
    """The result of one part. verdicts: a line for each figure: "P2: ... : met" or "missed"."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    verdicts: Sequence[str] = ()

    def text(self) -> str:
        widths = [
            max(len(row[i]) for row in (self.columns, *self.rows)) for i in range(len(self.columns))
        ]
        lines = [
            "| "
            + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            + " |"
            for row in (self.columns, ["-" * width for width in widths], *self.rows)
        ]
        return "\n".join([*lines, *("\n" + verdict for verdict in self.verdicts)])


def verdict(figure: str, what: str, got: float, limit: float, unit: str = "") -> str:
    """A line that says whether a figure is met: `got` is at most `limit`."""
    word = "met" if got <= limit else "**missed**"
    return f"**{figure}**: {what}: {got:.3g}{unit}, wanted at most {limit:g}{unit}: {word}."


def machine() -> str:
    """What these numbers were measured on, and when."""
    model = "unknown CPU"
    for line in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    cores = len(os.sched_getaffinity(0))
    today = datetime.datetime.now(tz=datetime.UTC).date()
    versions = f"Linux {platform.release()}, Python {platform.python_version()}"
    return f"{today}; {cores} cores of {model}, {versions}."


def write(page: Path, part: str, command: str, table: Table) -> None:
    """Replace what stands between the marks of `part` on a page."""
    begin, end = block(page, part)
    text = page.read_text(encoding="utf-8")
    shown = f"`{command}`, {machine()}\n\n{table.text()}\n"
    page.write_text(text[:begin] + shown + text[end:], encoding="utf-8")


def block(page: Path, part: str) -> tuple[int, int]:
    """Where on a page that begins and ends which stands between the marks of `part`."""
    mark = re.compile(rf"(?<=<!-- bench: {part} -->\n).*?(?=<!-- end -->)", re.DOTALL)
    found = mark.search(page.read_text(encoding="utf-8"))
    if found is None:
        raise SystemExit(f"{page} has no place for {part}")
    return found.span()
