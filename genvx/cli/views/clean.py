"""genvx admin clean: what was freed on each host, in a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.quantities.amounts import format_size
from genvx.core.wire.treeoperations import CleanTrees

if TYPE_CHECKING:
    from genvx.cli.ask.where import Where
    from genvx.core.wire.treeoperations import Amount
    from genvx.fleet.fleet import Fleet

_TREE = ("tree of code", "trees of code")
_ENVIRONMENT = ("Python environment", "Python environments")
_UNUSED = 30 * 86400.0


def show(where: Where, fleet: Fleet, *, everything: bool, only_say: bool) -> int:
    """Clean and say what has gone; return the exit code."""
    asked = CleanTrees(0.0 if everything else _UNUSED, only_say)
    outcomes = where.ask(fleet, lambda host: host.answer(asked))
    word = "would free" if only_say else "freed"
    for name, cleaned in outcomes.succeeded.items():
        host = f"{name}: " if where.remote else ""
        gone = _both(cleaned.gone, cleaned.environments_gone) or _amount(cleaned.gone, _TREE)
        stays = _both(cleaned.stays, cleaned.environments_stay)
        print(f"{host}{word} {gone}{f'; {stays} stay' if stays else ''}")
    return where.report(outcomes)


def _both(trees: Amount, environments: Amount) -> str:
    """What there is of both, in words; empty if there is nothing."""
    parts = ((trees, _TREE), (environments, _ENVIRONMENT))
    return " and ".join(_amount(amount, words) for amount, words in parts if amount.trees)


def _amount(amount: Amount, words: tuple[str, str]) -> str:
    what = f"{amount.trees} {words[amount.trees != 1]}"
    return f"{what} ({format_size(amount.size)})" if amount.trees else what
