"""genvx admin clean: what was freed on each host, in a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.quantities.amounts import format_size
from genvx.core.wire.treeoperations import CleanTrees

if TYPE_CHECKING:
    from genvx.cli.ask.where import Where
    from genvx.core.wire.treeoperations import Amount
    from genvx.fleet.fleet import Fleet

_UNUSED = 30 * 86400.0


def show(where: Where, fleet: Fleet, *, everything: bool, only_say: bool) -> int:
    """Clean and say what has gone; return the exit code."""
    asked = CleanTrees(0.0 if everything else _UNUSED, only_say)
    outcomes = where.ask(fleet, lambda host: host.answer(asked))
    word = "would free" if only_say else "freed"
    for name, cleaned in outcomes.succeeded.items():
        host = f"{name}: " if where.remote else ""
        stays = f"; {_amount(cleaned.stays)} stay" if cleaned.stays.trees else ""
        print(f"{host}{word} {_amount(cleaned.gone)}{stays}")
    return where.report(outcomes)


def _amount(amount: Amount) -> str:
    trees = f"{amount.trees} tree{'' if amount.trees == 1 else 's'} of code"
    return f"{trees} ({format_size(amount.size)})" if amount.trees else trees
