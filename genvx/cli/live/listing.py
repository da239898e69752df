"""Which rows of a page are listed: sorted, filtered and folded as a person wants it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.cli.live import devicepage
from genvx.cli.live.pages import GPUS, PAGES
from genvx.core.value import value
from genvx.shown.columns import fitted_columns, narrowed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from genvx.cli.live.known import Seen
    from genvx.cli.live.rows import Row


@value
class Sorting:
    """By which column rows are sorted; None: as they are. reverse: the largest first."""

    column: int | None = None
    reverse: bool = False


@value
class Listed:
    """The rows of a page, and how its columns fit. folded: keys of the parents that are.

    shown, widths: the columns that are shown, and the cells of each.
    """

    rows: tuple[Row, ...]
    shown: tuple[int, ...]
    widths: tuple[int, ...]
    folded: frozenset[tuple[str, ...]] = frozenset()


class Lister:
    """Lists rows; what has not changed since the last time is not worked out again."""

    def __init__(self) -> None:
        self._of_hosts: dict[str, tuple[Seen, int, list[Row]]] = {}
        self._of_page: tuple[int, Sequence[Seen], list[Row]] | None = None

    def listed(
        self,
        page: int,
        hosts: Sequence[Seen],
        columns: int,
        height: int,
        *,
        filtered: str = "",
        sorting: Sorting | None = None,
        folding: Mapping[str, bool] | None = None,
    ) -> Listed:
        """Return the rows of a page on a terminal of so many columns, with room for so many rows.

        filtered: only rows in which each of its words is. folding: hosts that a person has folded
        (True) or not; "" stands for all others.
        """
        sorting = sorting or Sorting()
        words = filtered.casefold().split()
        folded: set[tuple[str, ...]] = set()
        if page == GPUS:
            groups = self._groups(hosts, devicepage.bar_size(columns))
            rows = _of_groups(groups, words, sorting, height, folding or {}, folded)
        else:
            rows = _sorted(
                [row for row in self._rows(page, hosts) if _has(row, words)],
                sorting,
            )
        shown, widths = _fitted(page, rows, columns)
        return Listed(tuple(rows), shown, widths, frozenset(folded))

    def _groups(self, hosts: Sequence[Seen], size: int) -> list[list[Row]]:
        found = []
        for seen in hosts:
            known = self._of_hosts.get(seen.host)
            if known is None or known[0] is not seen or known[1] != size:
                known = self._of_hosts[seen.host] = (seen, size, devicepage.rows_of(seen, size))
            found.append(known[2])
        return found

    def _rows(self, page: int, hosts: Sequence[Seen]) -> list[Row]:
        known = self._of_page
        if known is None or known[0] != page or known[1] is not hosts:
            known = self._of_page = (page, hosts, PAGES[page].rows(hosts))
        return known[2]


def _has(row: Row, words: Sequence[str]) -> bool:
    return all(word in row.haystack for word in words)


def _sorted(rows: list[Row], sorting: Sorting) -> list[Row]:
    column = sorting.column
    if column is None:
        return rows[::-1] if sorting.reverse else rows
    return sorted(rows, key=lambda row: row.order[column], reverse=sorting.reverse)


def _of_groups(
    groups: Sequence[Sequence[Row]],
    words: Sequence[str],
    sorting: Sorting,
    height: int,
    folding: Mapping[str, bool],
    folded: set[tuple[str, ...]],
) -> list[Row]:
    """Parents, each followed by its rows unless it is folded; these are put into `folded`."""
    found: list[tuple[Row, list[Row]]] = []
    for parent, *children in groups:
        if words and not _has(parent, words):
            children = [row for row in children if _has(row, words)]
            if not children:
                continue
        found.append((parent, _sorted(children, sorting)))
    parents = {id(parent): children for parent, children in found}
    # Where not all fits, the first look is at the hosts.
    many = sum(1 + len(children) for _, children in found)
    usually = folding.get("", len(found) > 1 and many > height and not words)
    rows = []
    for parent in _sorted([parent for parent, _ in found], sorting):
        rows.append(parent)
        if folding.get(parent.host, usually):
            folded.add(parent.key)
        else:
            rows += parents[id(parent)]
    return rows


def _fitted(
    page: int, rows: Sequence[Row], columns: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    names, fitting = PAGES[page].columns, PAGES[page].fitting
    filled = [max(sizes, default=0) for sizes in zip(*(row.widths for row in rows), strict=True)]
    filled = filled or [0] * len(names)
    # Only how wide they are counts.
    widest = [["x" * size for size in filled]]
    shown = fitted_columns(names, widest, fitting, columns)
    widths = narrowed(
        [max(filled[at], len(names[at])) for at in shown],
        columns,
        {
            place: fitting.yielding[names[at]]
            for name in fitting.yielding
            for place, at in enumerate(shown)
            if names[at] == name
        },
        [place for place, at in enumerate(shown) if names[at] in fitting.kept],
    )
    return tuple(shown), tuple(widths)
