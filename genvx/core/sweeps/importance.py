"""How much the results of a sweep go along with each of its parameters.

By ranks, so that one result that is far off does not decide, and one parameter at a time: the
values of a parameter are put into groups, and what counts is which part of the differences between
the ranks of results is one between groups. That is the effect size epsilon squared of Kruskal and
Wallis, from which what chance alone would give is taken off. What only two parameters together
change is not seen.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Fewer results say nothing.
LEAST = 10
# Numbers are put into so many groups at most, each with so many results or more.
_MOST_GROUPS, _IN_GROUP = 8, 4


def importances(trials: Sequence[tuple[Mapping[str, Any], float]]) -> dict[str, float]:
    """Return, for each parameter, which part of the differences between results goes along with
    it, from 0 to 1, the largest first.

    trials: parameters, and a result that is a finite number. A parameter that not all trials have
    is judged by those that have it; one with too few, or always the same value, is left out.
    """
    names = dict.fromkeys(name for parameters, _ in trials for name in parameters)
    found: dict[str, float] = {}
    for name in names:
        having = [(each[name], result) for each, result in trials if name in each]
        if len(having) < LEAST:
            continue
        groups = _groups([given for given, _ in having])
        if 1 < len(set(groups)) < len(having):
            found[name] = _part_between(groups, _ranks([result for _, result in having]))
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _groups(values: Sequence[Any]) -> list[int]:
    """Which group each value is in: numbers by size, with about as many in each; others by value.

    Equal values are in one group.
    """
    if not all(type(each) in (int, float) and math.isfinite(each) for each in values):
        words = [_word(each) for each in values]
        order = list(dict.fromkeys(words))
        return [order.index(each) for each in words]
    many = len(values)
    wanted = max(2, min(_MOST_GROUPS, many // _IN_GROUP))
    if len(set(values)) <= wanted:
        places = sorted(set(values))
        return [places.index(each) for each in values]
    return [min(wanted - 1, int((rank - 0.5) * wanted / many)) for rank in _ranks(values)]


def _word(given: Any) -> str:
    if isinstance(given, dict) and isinstance(given.get("_name"), str):
        return str(given["_name"])  # a nested choice
    return json.dumps(given, sort_keys=True, default=str)


def _ranks(numbers: Sequence[float]) -> list[float]:
    """The ranks of numbers, from 1; equal ones share the mean of theirs."""
    order = sorted(range(len(numbers)), key=lambda at: numbers[at])
    ranks = [0.0] * len(numbers)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and numbers[order[end]] == numbers[order[start]]:
            end += 1
        for at in order[start:end]:
            ranks[at] = (start + end + 1) / 2
        start = end
    return ranks


def _part_between(groups: Sequence[int], ranks: Sequence[float]) -> float:
    many, mean = len(ranks), (len(ranks) + 1) / 2
    every = sum((rank - mean) ** 2 for rank in ranks)
    sums: dict[int, list[float]] = {}
    for group, rank in zip(groups, ranks):
        sums.setdefault(group, []).append(rank)
    if not every or many <= len(sums):
        return 0.0
    between = sum(len(each) * (sum(each) / len(each) - mean) ** 2 for each in sums.values())
    part = between / every
    return max(0.0, 1 - (1 - part) * (many - 1) / (many - len(sums)))
