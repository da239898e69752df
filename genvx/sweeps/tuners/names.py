"""Tuners and pruners by name: those of genvx, and NNI's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.sweeps.goal import Goal
    from genvx.core.sweeps.space import SearchSpace
    from genvx.sweeps.tuners.tuner import Tuner


@dataclass(frozen=True)
class Chosen:
    """A tuner, and lines for people about what is not as they have written it."""

    tuner: Tuner
    notes: tuple[str, ...] = ()


def tuner_of(
    name: str,
    space: SearchSpace,
    goal: Goal,
    seed: int,
    options: Mapping[str, Any] | None = None,
    *,
    pruner: str = "",
    pruner_options: Mapping[str, Any] | None = None,
) -> Chosen:
    """Return the tuner of a name: one of genvx, or NNI's, in any case.

    seed: from 0; the same gives the same trials, so it belongs into the journal. pruner: median or
    asha, or NNI's Medianstop or Curvefitting; empty for none.

    Raises:
        InvalidInput: there is no such tuner, pruner or option; the message lists those that there
        are. Or Optuna is not installed, and the message says what to install.
    """
    raise NotImplementedError


__all__ = ["Chosen", "tuner_of"]
