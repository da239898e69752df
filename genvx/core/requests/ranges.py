"""Many numbered names in few words: "0-5, 7" for GPUs, "gpu-server-[1-14]" for hosts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_NUMBERED = re.compile(r"(.*?)(\d{1,9})(\D*)", re.ASCII | re.DOTALL)


def ranges(labels: Iterable[str]) -> str:
    """Join labels of devices; three neighbours or more become a range: "0, 1", "0-5, 7", "3:0-3:6".

    The order of the labels is kept.
    """
    return ", ".join(
        ", ".join(run) if len(run) < 3 else f"{run[0]}-{run[-1]}" for run in _runs(list(labels))
    )


def folded(names: Iterable[str]) -> str:
    """Join names of hosts as a hostfile may write them: "a, gpu[03-16,20].lab"."""
    alike: dict[tuple[str, str], list[str]] = {}
    for run in _runs(list(names)):
        before, first, after = _split(run[0])
        last = _split(run[-1])[1]
        alike.setdefault((before, after), []).append(first if first == last else f"{first}-{last}")
    return ", ".join(
        f"{before}[{','.join(numbers)}]{after}"
        if len(numbers) > 1 or "-" in numbers[0]
        else f"{before}{numbers[0]}{after}"
        for (before, after), numbers in alike.items()
    )


def _split(name: str) -> tuple[str, str, str]:
    """A name before its last number, that number, and what comes after; "" where it has none."""
    match = _NUMBERED.fullmatch(name)
    return (name, "", "") if match is None else (match[1], match[2], match[3])


def _runs(names: Sequence[str]) -> list[list[str]]:
    """Names in order, those together that only differ in a number that grows by one."""
    found: list[list[str]] = []
    before = ("", "", "")
    for name in names:
        now = _split(name)
        follows = (
            now[1]
            and before[1]
            and (now[0], now[2]) == (before[0], before[2])
            and int(now[1]) == int(before[1]) + 1
            # The width of the numbers has to be recoverable: gpu[9-10] is gpu9 and gpu10,
            # gpu[09-10] is gpu09 and gpu10. No range stands for gpu9 and gpu010.
            and (len(now[1]) == len(before[1]) or "0" not in (now[1][0], before[1][0]))
        )
        if follows:
            found[-1].append(name)
        else:
            found.append([name])
        before = now
    return found
